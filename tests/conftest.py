"""What every test runs under."""

import os

# Before anything loads numpy or torch: threads that spin on a busy machine make fits several times slower, and a
# process that a test starts computes the same to the last bit only with as many threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
