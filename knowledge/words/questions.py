"""The words that questions are built with, rather than about, in the languages that people ask in most."""

import re

_BY_LANGUAGE = {
    "en": """
    a about am an and any are as at be been but by can could did do does doing done find for from get
    give go got had has have he her hi hello hey him his how i if in into is it its just know let like
    many may me mean might much must my need no not of on or our out over please she should so some
    someone something tell than thank thanks that the their them then there these they thing things this
    those to too up us use used want was we were what whats what's when where which who whom whose why
    will with work works would you your
    """,
    "de": """
    der die das ein eine ich wir ist sind wie was wo wann wer welche welcher kann muss für und oder den dem
    zu im in aber alle als am an auf aus bei bin bis bitte da damit dann darf dass davon dazu dein deine denn
    des dich dir doch du durch eines einem einen einer er es euch euer gibt gilt haben habe hat hallo hier ihr ihre
    ihren ihm ihn können könnte machen man mein meine mich mir mit muss müssen nach nicht noch nur ob pro sein seine
    sich sie soll sollte über um uns unser unsere vom von vor war waren warum was weil welchem welchen welches wem wen
    wenn werden wird wieso wieviel wieviele viel viele wurde wurden würde zum zur
    """,
    "es": """
    a al algo algún alguna ante aquel aquella aquí así aún cada como cómo con cual cuál cuales cuáles cualquier cuando
    cuándo cuanta cuánta cuantas cuántas cuanto cuánto cuantos cuántos de debe debo del desde donde dónde dos durante e
    el él ella ellas ellos en entre era eran es esa ese eso esta está están estas este esto estos favor fue fueron
    gracias ha hace hacer hacia han hasta hay hola la las le les lo los más me mi mis mucho muy ni no nos nosotros
    nuestra nuestro o os otra otro para pero por porque puede pueden puedo podemos que qué quien quién quienes quiénes
    se según ser si sí sido sin sobre son su sus también te tener tengo tiene tienen tenemos tu tú tus un una unas uno
    unos y ya yo
    """,
    "fr": """
    à afin ai aller alors après as au aucun aussi autre aux avant avec avez avoir avons bonjour c ça car ce ceci cela
    celle celui ces cet cette chaque chez combien comme comment d dans de depuis des doit doivent dois donc du elle
    elles en encore entre es est et était étaient être eu faire fait faut fut il ils j je l la le les leur leurs lui m
    ma mais me merci mes moi mon n ne nos notre nous on ont ou où par pas pendant peut peuvent peux plus pour pourquoi
    pouvez qu quand que quel quelle quelles quels qui quoi s sa sans se selon ses si son sont sous sur t ta te tes toi
    ton tous tout toute toutes très tu un une vers vos votre vous y
    """,
    "it": """
    a abbiamo ad ai al alla alle allo anche ancora avere c che chi ci ciao ciò col come con cosa cui d da dai dal dalla
    dalle dallo degli dei del dell della delle dello deve devo di dopo dove due e è ed era erano essere fa fare fra
    grazie gli ha hanno ho i il in io l la le lei li lo loro lui ma mai me mi mia mio molto ne nei nel nell nella nelle
    nello no noi non nostra nostro o ogni per perché più può possiamo possono posso prima qual quale quali quando quanta
    quante quanti quanto quella quelle quelli quello questa queste questi questo qui sarà se sei senza si sia siamo sono
    sopra sotto su sua sue sugli sui sul sulla sulle suo tra tu tua tuo un una uno vi voi
    """,
    "pt": """
    a à ao aos aquela aquele aqui as às até cada com como da das de depois desde deve devo do dos e é ela elas ele eles
    em entre era eram essa esse esta está estão este eu faz fazer foi foram há isso isto já lhe mais mas me mesmo meu
    minha muito na não nas nem no nos nós nossa nosso num numa o obrigado olá onde os ou para pela pelas pelo pelos por
    porque pode podem podemos posso quais qual quando quanta quantas quanto quantos que quê quem se sem ser seu seus só
    sobre sua suas também te tem têm temos tenho ter tu tua um uma umas uns você vocês
    """,
    "nl": """
    aan al alle als ben bij dan dank dat de deze die dit doe doen door een elk en er gaat geen geldt haar had hallo heb
    hebben hebt heeft hem het hier hij hoe hoeveel hun ik in is je jij jouw jullie kan kun kunnen kunt maar mag me meer
    men met mij mijn moet moeten na naar niet nog of om omdat ons onze ook op over per te tegen tot u uit uw van veel
    voor waar waarom wanneer wat we welk welke werd wie wij wil worden wordt zal ze zich zij zijn zo zonder zou
    """,
}
_SETS = {language: frozenset(listed.split()) for language, listed in _BY_LANGUAGE.items()}
_ALL = frozenset().union(*_SETS.values())
_APART = re.compile(r"[^\s]+")
_ELIDED = re.compile(r"^(?:[cdjlmnst]|qu|all|dell|nell|sull|dall|un|dov|com)['’](?=\w)")
_AROUND = "?!.,:;\"'()¿¡«»„“”…’"

QUESTION_WORDS = _SETS["en"] | frozenset(
    """
    der die das ein eine ich wir ist sind wie was wo wann wer welche welcher kann muss für und oder den dem zu im in
    """.split()
)
"""Those of English and the commonest of German; what is asked in another language is seen by `content`."""


def content(text: str) -> str:
    """The text without the words that questions are built with; all of it when nothing else is left."""
    parts = _APART.findall(text)
    bare = [part.casefold().strip(_AROUND) for part in parts]
    listed = _listed(bare)
    kept = [
        part
        for part, word in zip(parts, bare, strict=True)
        if word not in listed and _ELIDED.sub("", word) not in listed
    ]
    return " ".join(kept) or text


def is_question_word(word: str) -> bool:
    """Whether it is one in any of the languages."""
    return word.casefold() in _ALL


def _listed(words: list[str]) -> frozenset[str]:
    """The question words of the language that has most of these words; of all that have equally many.

    English wins a tie that it is part of: "in" is a word of five of them, and "die" something that people look for.
    """
    counts = {language: sum(word in listed for word in words) for language, listed in _SETS.items()}
    most = max(counts.values())
    if not most or counts["en"] == most:
        return QUESTION_WORDS
    return frozenset().union(*(_SETS[language] for language, count in counts.items() if count == most))
