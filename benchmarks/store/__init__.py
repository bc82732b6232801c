"""The store alone: against pgbench, step by step, and on big tables."""
