"""Execute the notebooks and keep the outputs that the regression tests compare, no others.

Run ``make refresh [ONLY=NAME,…]`` after editing a notebook, and read the difference before committing it.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from alexnet_tf.errors import choose

FLAG = "# NBVAL_CHECK_OUTPUT"
FOLDER = Path(__file__).resolve().parent.parent / "notebooks"


def strip(notebook):
    """Leave the outputs of flagged cells alone and remove everything else that running leaves behind."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, start=1):
        cell.metadata.pop("execution", None)
        cell.execution_count = number if FLAG in cell.source else None  # nbval wants compared cells to have one
        if FLAG not in cell.source:
            cell.outputs = []
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        texts = [output.text for output in cell.outputs if output.output_type == "stream"]
        if texts:  # a busy machine delivers them in pieces
            cell.outputs[0].text = "".join(texts)
            cell.outputs = [cell.outputs[0], *(o for o in cell.outputs if o.output_type != "stream")]
        for output in cell.outputs:
            output.pop("execution_count", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def main(only=""):
    known = {path.stem: path for path in sorted(FOLDER.glob("[0-9]*.ipynb"))}
    for name in only.split(",") if only else known:
        path = known[choose("notebook", name, known)]
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": FOLDER}}).execute()
        strip(notebook)
        nbformat.write(notebook, path)
        print(f"refreshed {path.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
