"""`ingot schema` is JSON Schema that accepts every recipe that ingot accepts, and refuses unknown keys.

Judged by python3-jsonschema, and by check-jsonschema where it is installed."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
INGOT = pathlib.Path(os.environ.get("INGOT_BUILD", ROOT / "build")) / "bin/ingot"
GOOD = sorted([*ROOT.glob("tests/good/*.yaml"), *ROOT.glob("recipes/*.yaml")])
jsonschema = pytest.importorskip("jsonschema", reason="python3-jsonschema is not installed")


@pytest.fixture(scope="module")
def schema():
    done = subprocess.run([INGOT, "schema"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def validator(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_good_recipes_are_accepted(schema, validator, tmp_path):
    assert len(GOOD) >= 24
    for path in GOOD:
        errors = [e.message for e in validator.iter_errors(yaml.safe_load(path.read_text()))]
        assert not errors, f"{path.name}: {errors}"
    program = shutil.which("check-jsonschema")
    if program:
        file = tmp_path / "recipe.json"
        file.write_text(json.dumps(schema))
        done = subprocess.run([program, "--schemafile", file, *GOOD], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [
    "unknown-key", "unknown-nested", "unknown-in-list", "not-yet-images", "not-yet-boot",
    "not-yet-outputs", "base-missing", "name-missing", "size-decimal", "mode-unquoted", "digest-md5",
    "source-unverified", "file-relative", "cpus", "bool-for-text", "wrong-shape-list", "name-path"])
def test_bad_recipes_are_refused(validator, name):
    recipe = yaml.safe_load((ROOT / f"tests/bad/{name}.yaml").read_text())
    assert list(validator.iter_errors(recipe)), name
