"""Races that sessions lose, run against several stacks by one client."""
