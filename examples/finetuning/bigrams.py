"""Write a bigram language model and a lexicon of transcripts, for ``fairseq-summarymixing decode --lm``.

    python examples/finetuning/bigrams.py DATA/train.wrd OUT

writes OUT/lm.arpa and OUT/lexicon.txt (words spelled in letters). Absolute discounting (Ney et al. 1994), interpolated
with unigrams. For large corpora use KenLM's ``lmplz`` instead, which makes longer n-grams.
"""

import math
import sys
from collections import Counter
from pathlib import Path

from fairseq_summarymixing.errors import UserError, exit_status
from fairseq_summarymixing.files import atomic_write
from fairseq_summarymixing.text_files import read_lines

DISCOUNT = 0.5


def main(transcripts: str, out: str) -> None:
    sentences = [line.split() for line in read_lines(transcripts) if line.strip()]
    if not sentences:
        raise UserError(f"{transcripts} holds no words; expected one sentence per line")
    words = Counter(word for sentence in sentences for word in [*sentence, "</s>"])
    pairs = Counter(pair for sentence in sentences for pair in zip(["<s>", *sentence], [*sentence, "</s>"]))
    seen, kinds = Counter(), Counter()
    for (history, _), count in pairs.items():
        seen[history] += count
        kinds[history] += 1
    total = sum(words.values()) + len(words) + 1  # one more of each word, and an unknown word
    unigram = {word: (count + 1) / total for word, count in words.items()}
    left = {history: DISCOUNT * kinds[history] / seen[history] for history in seen}
    with atomic_write(Path(out) / "lm.arpa") as file:
        print(f"\\data\\\nngram 1={len(words) + 2}\nngram 2={len(pairs)}\n\n\\1-grams:", file=file)
        print(f"{math.log10(1 / total):.5f}\t<unk>\n-99\t<s>\t{math.log10(left['<s>']):.5f}", file=file)
        for word, probability in unigram.items():
            backoff = f"\t{math.log10(left[word]):.5f}" if word in left else ""
            print(f"{math.log10(probability):.5f}\t{word}{backoff}", file=file)
        print("\n\\2-grams:", file=file)
        for (history, word), count in pairs.items():
            probability = (count - DISCOUNT) / seen[history] + left[history] * unigram[word]
            print(f"{math.log10(probability):.5f}\t{history} {word}", file=file)
        print("\n\\end\\", file=file)
    with atomic_write(Path(out) / "lexicon.txt") as file:
        for word in sorted(words.keys() - {"</s>"}):
            print(f"{word}\t{' '.join(word)} |", file=file)
    print(f"{len(words) - 1} words, {len(pairs)} bigrams: {out}/lm.arpa, {out}/lexicon.txt")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(exit_status(lambda: main(*sys.argv[1:])))
