"""What is counted in the text of compiled programs: by hand, and on programs here."""

from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from benchmarks import hlo, hlo_text

HERE = Path(__file__).parent
TPU = (HERE / "loop_on_tpu.hlo").read_text()
IMAGE, PART, ROW = 8 * 64 * 32, 8 * 16 * 32, 64 * 32
COUNTER = 4


def found(text):
    return {kernel.name: kernel for kernel in hlo.kernels(text)}


def moved(kernels):
    return sum(kernel.times * kernel.moved.bytes for kernel in kernels)


def test_bytes_are_those_counted_by_hand():
    kernels = found(TPU)
    sizes = {name: (k.read.bytes, k.written.bytes) for name, k in kernels.items()}
    assert sizes == {
        "updated": (ROW + COUNTER, ROW),  # In place.
        "copy-done": (IMAGE, 0),  # To vector memory.
        "slice-done": (PART, PART),
        "kernel": (IMAGE + PART, IMAGE),
        "parts": (2 * PART, PART),  # Two slices; the third is of what is on chip.
    }


def test_loops_turn_as_often_as_their_condition_says():
    kernels = found(TPU)
    # 1, 3, 5, 7: from 1, by 2, below 9.
    assert {name: k.times for name, k in kernels.items() if k.times > 1} == {
        "updated": 4
    }
    assert kernels["updated"].cycles == 50
    assert not any(kernel.guessed for kernel in kernels.values())
    other = found(TPU.replace("direction=LT", "direction=NE"))
    assert other["updated"].times == 1
    assert other["updated"].guessed
    told = 'body=%body, backend_config={"known_trip_count":{"n":"7"}}'
    assert found(TPU.replace("body=%body", told))["updated"].times == 7


@pytest.mark.parametrize(
    ("text", "size", "padded", "on_chip"),
    [
        ("u8[256,224,224,3]{0,2,3,1:T(32,128)(4,1)}", 38535168, 38535168, False),
        # W on lanes: 224 of 256.
        ("u8[64,224,224,3]{2,1,3,0:T(32,128)(4,1)}", 9633792, 11010048, False),
        ("f32[3]{0:T(128)}", 12, 512, False),
        ("u8[14]{0:T(512)(128)(4,1)S(1)}", 14, 512, True),
        ("bf16[5,3]{0,1:T(8,128)(2,1)}", 30, 2048, False),
        ("f32[2,3]{1,0:T(8,128)S(5)}", 24, 4096, False),  # The host's memory.
        ("pred[7]{0}", 7, 7, False),
        ("s4[5]", 3, 3, False),
        ("f8e4m3fn[2,2]{1,0}", 4, 4, False),
        ("f32[8]{0:S(1)}", 32, 32, False),  # No tiles: a GPU's numbers mean others.
        ("token[]", 0, 0, False),
    ],
)
def test_sizes_of_arrays_in_tiles(text, size, padded, on_chip):
    (buffer,) = hlo_text.buffers(text)
    assert (*buffer.size, buffer.on_chip) == (size, padded, on_chip)


GPU = (HERE / "calls_on_gpu.hlo").read_text()


def test_calls_are_followed_and_the_dearest_branch_counts():
    assert [(k.opcode, *k.moved) for k in hlo.kernels(GPU)] == [
        ("copy", 512, 512),
        ("copy", 512, 512),
        ("__gpu$xla.gpu.triton", 512, 512),
        ("__cublas$gemm", 768, 768),  # Without the room that it works in.
        ("all-reduce", 512, 512),
    ]


def test_programs_compiled_here_count_as_what_they_do():
    x = jnp.zeros((64, 128), jnp.float32)

    def rows(x):
        def body(i, y):
            row = jax.lax.dynamic_slice(x, (8 * i, 0), (8, 128))
            return jax.lax.dynamic_update_slice(y, jnp.sort(row), (8 * i, 0))

        return jax.lax.fori_loop(0, 8, body, jnp.zeros_like(x))

    plain = hlo.kernels(jax.jit(lambda x: x + 1).lower(x).compile().as_text())
    assert [kernel.times for kernel in plain] == [1]
    assert moved(plain) == 2 * x.nbytes
    looped = hlo.kernels(jax.jit(rows).lower(x).compile().as_text())
    # Each row is sliced, copied, sorted and put in its place; not the whole each time.
    assert 8 in {kernel.times for kernel in looped}
    assert 2 * x.nbytes < moved(looped) <= 10 * x.nbytes


def test_a_text_that_is_no_program_is_refused():
    with pytest.raises(ValueError, match="no ENTRY"):
        hlo.kernels("HloModule nothing")
