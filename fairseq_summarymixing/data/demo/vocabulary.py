"""Small closed vocabularies for the demo corpus: digits and common words, only a-z and apostrophe."""

VOCABULARY = {
    "en-us": (
        "zero one two three four five six seven eight nine "
        "the a big small red green blue old new good "
        "dog cat house tree river bird child book door table "
        "runs sees takes gives sleeps don't can't and but here"
    ).split(),
    "cy": (
        "un dau tri pedwar pump chwech saith wyth naw deg "
        "y yn mae mawr bach coch gwyrdd glas hen newydd "
        "ci cath coeden afon aderyn plentyn llyfr drws bwrdd bore "
        "da iawn rhedeg gweld cysgu canu heddiw yma ond i'r"
    ).split(),
    "eu": (
        "zero bat bi hiru lau bost sei zazpi zortzi bederatzi "
        "hamar handi txiki gorri berde urdin zahar berri on eder "
        "txakur katu etxe zuhaitz ibai txori haur liburu ate mahai "
        "goiz gaur hemen eta baina da dago egin ikusi ekarri"
    ).split(),
}
