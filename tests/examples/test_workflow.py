"""The workflow that other repositories call: it is well formed, and its script does what its inputs say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fencepost.kit.verify import EXAMPLES, STEPS

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "verify.yml"
DEFAULTS = {
    "BACKEND": "",
    "EXEC": "",
    "STORES": "output",
    "CHAPTERS": "",
    "SEED": "0",
    "EXAMPLES": "2",
    "STEPS": "20",
    "STRICT": "false",
}


def workflow() -> dict[Any, Any]:
    """The workflow as data; YAML 1.1 takes the key `on` for a truth."""
    loaded: dict[Any, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return loaded


def step(name: str) -> dict[str, Any]:
    """The step of this name."""
    (found,) = (each for each in workflow()["jobs"]["verify"]["steps"] if each.get("name") == name)
    return dict(found)


def verified(tmp_path: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """What the script of the step that verifies does with these inputs, in the folder of an example."""
    # `fencepost` as pip would install it
    program = tmp_path / "bin" / "fencepost"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m fencepost.kit "$@"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step("Verify")["run"]],
        env={**os.environ, **DEFAULTS, "REPORT": str(tmp_path / "report"), **given, "PATH": path},
        cwd=ROOT / "examples" / "sqlite",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_input_is_declared_and_used() -> None:
    """The workflow is one to call, and what its steps read are its inputs."""
    inputs = workflow()[True]["workflow_call"]["inputs"]
    assert set(re.findall(r"inputs\.([\w-]+)", WORKFLOW.read_text(encoding="utf-8"))) == set(inputs)
    assert all({"description", "type"} <= set(each) for each in inputs.values())
    assert [name for name, each in inputs.items() if each.get("required")] == ["package"]


def test_left_alone_it_checks_as_much_as_the_command_does() -> None:
    """The numbers of examples and of steps are those of `fencepost verify`."""
    inputs = workflow()[True]["workflow_call"]["inputs"]
    assert (inputs["examples"]["default"], inputs["steps"]["default"]) == (EXAMPLES, STEPS) == (40, 50)


def usages() -> dict[str, str]:
    """How the workflow is said to be called, by where that stands."""
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    comment = re.findall(r"^#(   .*)$", WORKFLOW.read_text(encoding="utf-8"), re.MULTILINE)
    return {"page": block, "workflow": "\n".join(comment)}


@pytest.mark.parametrize("where", ["page", "workflow"])
def test_it_is_called_in_three_lines(where: str) -> None:
    """They name the workflow, inputs that it has, each with a value of its type, and all that it requires."""
    usage = usages()[where]
    assert len(usage.strip().splitlines()) == 3
    (job,) = yaml.safe_load(usage).values()
    path, _, version = job["uses"].partition("/fencepost/")[2].partition("@")
    assert (ROOT / path, version) == (WORKFLOW, "main")
    inputs = workflow()[True]["workflow_call"]["inputs"]
    assert set(job["with"]) <= set(inputs)
    assert {name for name, each in inputs.items() if each.get("required")} <= set(job["with"])
    assert all(inputs[name]["type"] == "string" and isinstance(value, str) for name, value in job["with"].items())
    assert ("backend" in job["with"]) != ("exec" in job["with"])


def test_no_input_is_pasted_into_a_script() -> None:
    """Inputs reach scripts as variables: a quote in one of them is no command."""
    scripts = [each["run"] for each in workflow()["jobs"]["verify"]["steps"] if "run" in each]
    assert len(scripts) == 3
    assert not [each for each in scripts if "${{" in each]


def test_the_script_checks_the_store_and_writes_the_report(tmp_path: Path) -> None:
    """The chosen backend and protocols are checked, and the report is where the next step takes it from."""
    found = verified(tmp_path, BACKEND="sqlite_outputs:factory")
    assert (found.returncode, found.stderr) == (0, "")
    assert "conforms, 33 of 35 requirements reached  sqlite_outputs:factory" in found.stdout
    assert "--examples 2 --steps 20 --stores output" in found.stdout.replace("\n", " ")
    assert (tmp_path / "report" / "summary.md").exists()
    assert step("Verify")["env"]["REPORT"] == step("Keep the report")["with"]["path"]
    assert step("Keep the report")["if"] == "always()"


@pytest.mark.parametrize("given", [{}, {"BACKEND": "a:b", "EXEC": "c"}])
def test_one_of_backend_and_command_is_asked_for(tmp_path: Path, given: dict[str, str]) -> None:
    """None, or both: said as an annotation, and no verdict."""
    found = verified(tmp_path, **given)
    assert found.returncode == 2
    assert found.stdout.startswith("::error::received backend")
