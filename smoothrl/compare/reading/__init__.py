"""From folders to runs: event files of ours and of others, and the tables that Stable-Baselines3 writes beside them."""
