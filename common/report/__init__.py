"""Results to what people read: tables, figures, Markdown, HTML, the terminal, progress.

Not here: how a number is computed (analysis/), and anything that starts or watches a process (run/).
"""
