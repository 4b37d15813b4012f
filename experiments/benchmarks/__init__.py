"""Benchmarks against named peers; every one is a module to run and writes its results beside itself."""
