"""N-gram models of Shakespeare's characters, orders 1 to 10, scored on the last 5 %: ``python benchmarks/ngram.py``."""

from rondeau.data import hold_out, load_text, tokenizer
from rondeau.models import compare
from rondeau.train import bits

text = load_text("shakespeare").text
words = tokenizer("characters", text)
train, held = hold_out(words.encode(text))
for score in compare(train, held, words.size):
    print(f"{score.order:>2}  {score.nats:.4f} nats  {bits(score.nats):.4f} bits  {score.entries:>12,} entries")
