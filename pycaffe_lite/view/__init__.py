"""Nets and trainings to look at: tables, drawings, curves, and what a net sees in a picture."""
