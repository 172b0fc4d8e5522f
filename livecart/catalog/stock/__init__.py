"""Link, price and stock at the speed of cards."""
