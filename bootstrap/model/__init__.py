"""Plain values. They import no other package of pullkey."""
