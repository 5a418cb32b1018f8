"""The command `python -m isr_theory.diagnose`: what a training run's log of log-ratios says."""
