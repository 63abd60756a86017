"""What a backup costs, measured beside s5cmd, cp and stock Medusa in one run: ``make bench``. See README.md."""
