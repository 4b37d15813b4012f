"""The outer loop: is it sample-efficient, quick and impossible to lose?"""
