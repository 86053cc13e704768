"""Names as collections write them: what each was found to mean, and what a curator said it means."""
