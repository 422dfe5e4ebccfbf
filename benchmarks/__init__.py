"""What vmixjax takes in time and memory, beside others: `python -m benchmarks`."""
