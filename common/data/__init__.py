"""From a folder of images and tables to a data set, a plan and batches. Used by parent and child.

Not here: anything that knows a framework or measures time.
"""
