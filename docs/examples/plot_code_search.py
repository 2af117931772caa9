"""
Find code by its description: texts in a Pipeline
=================================================

The functions of SciPy and scikit-learn come with source code and with a text that says what they
do: two modalities of text. Each goes through TF-IDF and a truncated SVD of its own, then CCA
aligns them. For functions that were not in training, the code is searched by the text alone,
without any word in common being asked for. The curve shows how often the right one is among the
first k that are found; the dashed line is a search by chance.
"""

import ast
import inspect
import re

import matplotlib.pyplot as plt
import numpy as np
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.special
import scipy.stats
import sklearn.datasets
import sklearn.metrics
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skmm import CCA, Modalities
from skmm.compose import PerModality
from skmm.metrics import retrieval_report

MODULES = [
    scipy.linalg, scipy.ndimage, scipy.optimize, scipy.signal, scipy.special, scipy.stats,
    sklearn.datasets, sklearn.metrics,
]  # fmt: skip


def code_without_text(function) -> str:
    """Source of a function without its name, its comments and what it says of itself."""
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(function)))
    definition = tree.body[0]
    definition.name = "f"
    if ast.get_docstring(definition):
        definition.body = definition.body[1:]
    return ast.unparse(tree)


found = {}
for module in MODULES:
    for name in module.__all__:
        function = inspect.unwrap(getattr(module, name))
        if inspect.isfunction(function) and function.__doc__ and "<" not in function.__name__:
            try:
                code = code_without_text(function)
            except OSError:  # made when the module was imported, without a file
                continue
            if len(code) > 150:
                found[name] = (code, inspect.getdoc(function).split("Examples\n---")[0])
codes, texts = (np.array(part, dtype=object) for part in zip(*found.values(), strict=True))
X = Modalities({"code": codes, "text": texts}, kinds={"code": "categorical", "text": "categorical"})
X_train, X_test = train_test_split(X, test_size=0.3, random_state=0)
print(len(X_train), "functions to learn from,", len(X_test), "to search among")

# %%
# Each modality has a Pipeline of its own inside the Pipeline.


def words(minimum: int):
    """TF-IDF of words, also those within names, as eighty numbers."""
    split = re.compile(r"[a-z]{2,}|[A-Z][a-z]+")
    tfidf = TfidfVectorizer(
        tokenizer=split.findall, token_pattern=None, min_df=minimum, sublinear_tf=True
    )
    return make_pipeline(tfidf, TruncatedSVD(80, random_state=0))


pipe = make_pipeline(PerModality({"code": words(3), "text": words(3)}), CCA(30, shrinkage=0.3))
pipe.fit(X_train)
prepared = pipe[:-1].transform(X_test)
scores = pipe[-1].transform_each(prepared)

# %%
# How often is the code among the first k, if the text is what is known?

k = [1, 2, 5, 10, 20, 50, 100]
report = retrieval_report(scores["text"], scores["code"], k=k).loc["a_to_b"]
recall = [report[f"recall_at_{n}"] for n in k]
print(f"right at once: {recall[0]:.0%}; median rank: {report['median_rank']:.0f}")

fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(k, recall, marker="o", label="CCA of code and text")
ax.plot(k, np.array(k) / len(X_test), "--", color="grey", label="chance")
ax.set(
    xscale="log",
    ylim=(0, 1),
    xlabel="k",
    ylabel="right code among the first k",
    xticks=k,
    xticklabels=k,
)
ax.minorticks_off()
ax.legend()
plt.show()

# %%
# The same Pipeline takes a question of one's own.

question = "Compute the distance between two probability distributions."
asked = pipe[:-1].transform({"text": np.array([question], dtype=object)})
answer = pipe[-1].transform_each(asked)["text"]
similarity = (scores["code"] @ answer.ravel()) / np.linalg.norm(scores["code"], axis=1)
names = dict(zip(texts, found, strict=True))
print([names[text] for text in X_test["text"][np.argsort(-similarity)[:5]]])
