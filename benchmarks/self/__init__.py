"""The harness measured by itself: overhead, pixels, scores."""
