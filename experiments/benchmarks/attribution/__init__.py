"""Is the credit right, and what does it cost? The credit engine against shap, lime, captum and shapiq."""
