"""The coursework of 2018 reproduced, row by row, into one folder and one page."""
