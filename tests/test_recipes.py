"""The papers' recipes: what the profile ``paper`` resolves to, field by field, against what the papers print.

The expected values are copied by hand from the papers, the section beside each.
"""

from __future__ import annotations

import json
from importlib.resources import files

import pytest

from labkit import settings
from labkit.data.catalog import known_names
from labkit.data.export import make
from labkit.errors import LabError, UnknownNameError
from labkit.lab import Inputs, Lab
from labkit.methods.supervised import Oracle
from labkit.papers import PAPERS, papers_of, recipe, recipe_notes, stage_of, stages, steps_of
from labkit.profiles import PROFILES
from labkit.report import SWEEPS, plan_sweep
from labkit.report.plans import values_of
from labkit.training.recipe import Recipe

GTA5, SYNTHIA = "gta5-cityscapes", "synthia-cityscapes"


def planned(table: str, row: str, pair: str = GTA5) -> dict[str, dict]:
    """A row of a dry run in the profile ``paper``."""
    (found,) = plan_sweep(table, pair, "paper", [0], [row])["rows"]
    return found["recipe"]


def check(resolved: dict[str, dict], printed: dict, ours: dict) -> None:
    """``printed`` values have a section and are not ours; ``ours`` are marked so, each with a reason."""
    for name, value in (printed | ours).items():
        assert resolved[name]["value"] == value, name
    for name in printed:
        assert resolved[name]["section"] and not resolved[name]["ours"], f"{name} is printed"
    for name in ours:
        assert resolved[name]["ours"] and resolved[name]["reason"], f"{name} is ours"


# --- baitan2025 -------------------------------------------------------------------------------------------------------

BAITAN = {
    "target_size": [512, 1024],  # §4.2: 512×1024 pixels
    "workers": 2,  # §4.2: num_workers
    "weights": "imagenet",  # §4.2: both pre-trained on ImageNet
    "momentum": 0.9,  # §3.2: ρ
    "learning_rate": 2.5e-2,  # §3.2: α₀
    "weight_decay": 5e-4,  # §3.2: λ
    "optimizer": "sgd",  # §3.2
    "schedule": "poly",  # §3.2
    "power": 0.9,  # §3.2: p
    "precision": "16-mixed",  # §3.3: AMP with GradScaler
    "beta": 0.4,  # §3.1: β
}
BAITAN_OURS = {
    "source_size": [512, 1024],  # not given for GTA5
    "ignored_label": 255,  # §3.3 trains on "void" without a label for it
    "max_iter": "all steps",  # §3.2 prints 300
    "images": 2975,  # Cityscapes' training pictures, which §3.4 does not count
}


@pytest.mark.parametrize(("row", "batch", "steps"), [("DeepLabV2", 2, 74_375), ("BiSeNet", 4, 37_187)])
def test_baitan_table1(row, batch, steps):
    resolved = planned("baitan2025.table1", row)
    printed = BAITAN | {
        "batch_size": batch,  # §4.2: BiSeNet 4, DeepLabV2 2
        "epochs": 50,  # §4.2
        "flip": 0.0,  # no augmentation before §4.4
        "jitter": 0.0,
        "blur": 0.0,
    }
    check(resolved, printed, BAITAN_OURS | {"steps": steps, "evaluate_every": 2975 // batch})
    assert resolved["max_iter"]["printed"] == 300 and "contradicts" in resolved["max_iter"]["reason"]
    assert resolved["steps"]["value"] == 50 * 2975 // batch


def test_baitan_source_training_counts_the_sources_epochs():
    resolved = planned("baitan2025.table2", "source only")
    printed = BAITAN | {
        "images": 24_966,  # §3.4
        "source_split": "all",  # §4.3: Cityscapes validates
        "batch_size": 4,  # §4.2
    }
    ours = {"epochs": 50, "steps": 312_075}  # 50 epochs are given in §4.2 alone
    check(resolved, printed, ours)


@pytest.mark.parametrize(
    ("row", "flip", "jitter", "blur"),  # §4.4: each with p = 0.5
    [
        ("1", 0.5, 0, 0),
        ("2", 0, 0.5, 0),
        ("3", 0, 0, 0.5),
        ("12", 0.5, 0.5, 0),
        ("23", 0, 0.5, 0.5),
        ("123", 0.5, 0.5, 0.5),
    ],
)
def test_baitan_table3(row, flip, jitter, blur):
    check(planned("baitan2025.table3", row), BAITAN | {"flip": flip, "jitter": jitter, "blur": blur}, {"epochs": 50})


def test_the_combination_that_baitan_leaves_out_is_ours():
    check(planned("baitan2025.table3", "13"), BAITAN, {"flip": 0.5, "jitter": 0.0, "blur": 0.5})


def test_baitan_table4():
    printed = BAITAN | {
        "lambda_adv": 0.001,  # §4.5: λ_adv
        "jitter": 0.5,  # §4.5: Gaussian blur + colour jitter
        "blur": 0.5,
        "discriminator_optimizer": "adam",  # §4.5
        "discriminator_learning_rate": 1e-4,  # §4.5: as in its [5], AdaptSegNet
        "discriminator_betas": [0.9, 0.99],  # §4.5: as in its [5]
    }
    check(planned("baitan2025.table4", "adversarial"), printed, {"epochs": 50})


@pytest.mark.parametrize("gamma", [0, 2, 3])  # §4.6
def test_baitan_focal_loss(gamma):
    ours = {"epochs": 50, "jitter": 0.5, "blur": 0.5}  # §4.6 does not say; γ = 0 is Table 3's row 2,3
    check(planned("baitan2025.table5", str(gamma)), BAITAN | {"gamma": gamma}, ours)
    adam = {
        "gamma": gamma,
        "optimizer": "adam",  # §4.6.2
        "betas": [0.9, 0.99],  # §4.6.2
        "weight_decay": 0.0,  # §4.6.2: the update has none
        "power": 0.9,  # §3.2
    }
    check(planned("baitan2025.table7", str(gamma)), adam, ours | {"learning_rate": 1e-4})  # the rate is not given


# --- loda2025 ---------------------------------------------------------------------------------------------------------

LODA = {
    "images": 12_500,  # §2.1.1
    "split": "60/10/30",  # §2.1
    "optimizer": "adam",  # §3
    "learning_rate": 1e-4,  # §3: printed "1-e4"
    "schedule": "constant",  # §3: no scheduler
    "dice": 0.3,  # §2.3.1: λ_Dice
}
LODA_OURS = {"betas": [0.9, 0.999], "weight_decay": 0.0, "precision": "32-true", "beta": 0.0}


@pytest.mark.parametrize(
    ("table", "row", "size", "weights"),
    [
        ("table1", "COCO", [256, 466], "coco"),  # §2.2.2
        ("table1", "ImageNet1k", [256, 466], "imagenet"),  # §2.1: 466x256
        ("table1", "480x256", [256, 480], "imagenet"),  # §2.2.2: 480x256
        ("table2", "padded", [256, 466], "imagenet"),  # §2.2.1
        ("table2", "480x256", [256, 480], "imagenet"),
        ("table3", "DeepLabV3 480x256", [256, 480], "imagenet"),
        ("table3", "U-Net 480x256", [256, 480], "imagenet"),
    ],
)
def test_loda_segmentation(table, row, size, weights):
    resolved = planned(f"loda2025.{table}", row)
    printed = LODA | {
        "source_size": size,
        "target_size": size,
        "weights": weights,
        "batch_size": 8,  # §3.1
        "epochs": 25,  # §3.1
        "steps": 39_062,  # 25 × 12,500 / 8
    }
    check(resolved, printed, LODA_OURS)
    assert resolved["learning_rate"]["printed"] == "1-e4"


@pytest.mark.parametrize(
    ("table", "row", "weight", "size"),  # §3.2: λ_MMD 0.2, 0.1, 0.05, 0.01
    [
        ("table4", "0.2", 0.2, [256, 466]),
        ("table4", "0.1", 0.1, [256, 466]),
        ("table5", "0.05", 0.05, [256, 466]),
        ("table5", "0.01 multilevel", 0.01, [256, 466]),
        ("table6", "0.05", 0.05, [256, 480]),
        ("table7", "0.01", 0.01, [256, 480]),
        ("table8", "DeepLabV3, best target", 0.05, [256, 466]),
        ("table8", "U-Net, best source", 0.01, [256, 480]),
    ],
)
def test_loda_adaptation(table, row, weight, size):
    printed = LODA | {
        "lambda_mmd": weight,
        "sigma": 1.0,  # §2.3.2
        "batch_size": 4,  # §3.2: 4 and 4
        "epochs": 10,  # §3.2
        "source_size": size,
    }
    del printed["images"]  # what an epoch is with two loaders is not said
    ours = LODA_OURS | {"images": 12_500, "steps": 31_250}  # 10 × 12,500 / 4
    ours |= {"kernel": "printed", "pooled": True}  # §2.3.2 calls it Gaussian and prints no exp; vectors: not said
    check(planned(f"loda2025.{table}", row), printed, ours)


def test_the_first_of_lodas_selections_is_not_done_here():
    for table, row, words in (
        ("table1", "COCO", "best mIoU on source validation"),  # §3.1
        ("table4", "0.2", "best on source validation, and best on target validation"),  # §3.2
    ):
        selection = planned(f"loda2025.{table}", row)["selection"]
        assert selection["printed"] == words and selection["ours"] and "not done here" in selection["reason"]


def test_lodas_auxiliary_loss_is_off_in_every_profile():
    for profile in PROFILES:
        for table in ("table1", "table4", "table6", "kernels"):
            rows = plan_sweep(f"loda2025.{table}", GTA5, profile, [0])["rows"]
            assert {row["recipe"]["beta"]["value"] for row in rows} == {0.0}


def test_the_kernels_are_compared_with_as_many_further_steps():
    rows = {row["name"]: row["recipe"] for row in plan_sweep("loda2025.kernels", GTA5, "paper", [0])["rows"]}
    lengths = {(row["steps"]["value"], row["batch_size"]["value"]) for name, row in rows.items() if name != "before"}
    assert lengths == {(31_250, 4)}


def test_loda_divides_its_data_60_10_30():  # §2.1
    plan = plan_sweep("loda2025.table4", GTA5, "paper", [0])
    assert {row["data"]["source"] for row in plan["rows"]} == {"gta5-loda"}
    assert {row["data"]["target"] for row in plan["rows"]} == {"cityscapes-loda"}
    assert {"gta5-loda", "cityscapes-loda"} <= set(known_names())
    (row,) = plan_sweep("loda2025.table4", GTA5, "gpu", [0], ["0"])["rows"]
    assert row["data"]["source"] == "gta5", "other profiles keep the sets' own splits"


def test_loda_background():
    found = recipe("loda2025", "background")
    assert (found["xi_entropy"].value, found["xi_confidence"].value) == (1.0, 0.5)  # §4.1


# --- toldo2020 --------------------------------------------------------------------------------------------------------

TOLDO = {
    "crop": [600, 600],  # §4: patches of 600×600
    "optimizer": "adam",  # §4
    "betas": [0.9, 0.999],  # §4: β1; β2 is not given, and its reason says so
    "weight_decay": 4e-5,  # §4
    "schedule": "poly",  # §4
    "power": 0.9,  # §4
}


@pytest.mark.parametrize(
    ("table", "pair", "rate", "images", "held_out"),  # §4: 1e-5 and 5e-6; §5.1: 23,966 + 1,000 and 9,300 + 100
    [("table1", GTA5, 1e-5, 23_966, 1000), ("table2", SYNTHIA, 5e-6, 9300, 100)],
)
def test_toldo_both_sources(table, pair, rate, images, held_out):
    printed = TOLDO | {"learning_rate": rate, "images": images, "held_out": held_out}
    alone = {"steps": 90_000, "batch_size": 5}  # §4
    first = planned(f"toldo2020.{table}", "Source only", pair)
    check(first, printed | alone, {"weights": "imagenet"})
    assert first["weights"]["printed"] == "voc"  # §4: Pascal VOC
    joint = {
        "steps": 80_000,  # §4
        "batch_size": 1,  # §4
        "frozen_steps": 20_000,  # §4: the segmentation network is kept fixed
        "lambda_cycle": 20,  # §4
        "lambda_sem": 0.1,  # §4
        "lambda_feat": 1e-4,  # §4
        "lambda_ce": 1,  # §4
        "adversarial_learning_rate": 2e-4,  # §4
        "adversarial_betas": [0.5, 0.999],  # §4: β1
        "output_stride": 16,  # §4
        "atrous_rates": [6, 12, 18],  # §4
    }
    check(planned(f"toldo2020.{table}", "Ours (full)", pair), printed | joint, {"precision": "32-true"})
    oracle = {"steps": 90_000, "batch_size": 5, "learning_rate": rate, "crop": [600, 600]}  # not described
    check(planned(f"toldo2020.{table}", "Oracle", pair), {}, oracle)


@pytest.mark.parametrize(("row", "crop"), [("CycleGAN", None), ("CyCADA", [600, 600])])  # §5.3: rescaled; patches
def test_toldos_compared_methods(row, crop):
    ours = {"steps": 80_000, "translation_steps": 40_000, "lambda_cycle": 10, "batch_size": 1}  # §5.3: their papers
    ours |= {"adversarial_learning_rate": 2e-4, "adversarial_betas": [0.5, 0.999], "pool_size": 50}
    resolved = planned("toldo2020.table1", row)
    check(resolved, {"crop": crop, "learning_rate": 1e-5}, ours)
    assert ("lambda_sem" in resolved) == (row == "CyCADA")


@pytest.mark.parametrize(
    ("row", "sem", "feat"),  # §5.5
    [("Ours (λ_sem, λ_feat = 0)", 0, 0), ("Ours (λ_sem = 0)", 0, 1e-4), ("Ours (λ_feat = 0)", 0.1, 0)],
)
def test_toldo_ablation(row, sem, feat):
    check(planned("toldo2020.table3", row), TOLDO | {"lambda_sem": sem, "lambda_feat": feat, "lambda_cycle": 20}, {})


# --- yan2022 ----------------------------------------------------------------------------------------------------------

YAN = {"steps": 20_000}  # §IV-C, in all trainings
YAN_PRETRAINING = {  # §IV-C, of the pretraining alone
    "optimizer": "sgd",
    "momentum": 0.9,
    "weight_decay": 5e-4,
    "schedule": "poly",
    "power": 0.9,
    "warmup": 100,
}
YAN_OURS = YAN_PRETRAINING | {  # of the two stages
    "flip": 0.0,  # §IV-C names flips and scalings for the perturbed copies of pictures (g of §III), without strengths
    "scale": None,
    "perturbation": "the method's",
}


@pytest.mark.parametrize(
    ("table", "pair", "size", "crop"),  # §IV-C: SYNTHIA whole, 760×1280; GTA5 in crops of 1000×1000
    [("table1", SYNTHIA, [760, 1280], None), ("table2", GTA5, [1052, 1914], [1000, 1000])],
)
def test_yan_both_sources(table, pair, size, crop):
    printed = YAN | {"source_size": size, "source_crop": crop}
    first = printed | YAN_PRETRAINING | {"batch_size": 12, "learning_rate": 2.5e-4}  # §IV-C
    check(planned(f"yan2022.{table}", "Baseline (IST), BiSeNet", pair), first, {"target_size": [1024, 2048]})
    stage = printed | {"batch_size": 2, "learning_rate": 0.5e-5, "target_images": 19_997}  # §IV-C, §IV-A
    stage |= {"unlabelled": "cityscapes-extra"}  # §IV-A: whose 19,997 usable pictures they are
    for row, weight in (("Shannon", 0.01), ("Maximum", 0.005), ("Neutral", 0.01)):  # §IV-E.5
        resolved = planned(f"yan2022.{table}", f"{row}, BiSeNet", pair)
        check(resolved, stage | {"lambda_u": weight, "threshold": 0.8}, YAN_OURS)
    confidence = planned(f"yan2022.{table}", "Confidence, BiSeNet", pair)
    check(confidence, stage | {"threshold": 0.8}, YAN_OURS | {"lambda_u": 0.01})  # Fig. 7 has no curve of it
    assert "no method" not in confidence["lambda_u"]["reason"], "Tables I, II and VI have it"
    focal = {"lambda_u": 0.05, "gamma": 2, "a": 0.9, "b": 0.8, "d": 8, "threshold": 0.8}  # §IV-E.2, E.3, E.5, §III-B
    check(planned(f"yan2022.{table}", "Ours (stage 1), BiSeNet", pair), stage | focal, YAN_OURS)
    mixing = {
        "lambda_u": 0.05,  # §IV-C
        "lambda_m": 1,  # §IV-C
        "boundary_size": 7,  # §III-C
        "boundary_weight": 2,  # §III-C
    }
    check(planned(f"yan2022.{table}", "Ours (stage 2), BiSeNet", pair), stage | mixing, YAN_OURS)
    oracle = {"steps": 20_000, "batch_size": 12, "learning_rate": 2.5e-4}  # not described
    check(planned(f"yan2022.{table}", "Oracle, BiSeNet", pair), {}, oracle)
    # §IV-C: DeepLabV2 follows ProDA's settings, which the paper does not print; §IV-A: 2,975 pictures.
    large = {"target_images": 2975, "unlabelled": None}
    check(planned(f"yan2022.{table}", "Ours, DeepLabV2", pair), large, {"learning_rate": 0.5e-5})


@pytest.mark.parametrize(("row", "gamma"), [("1.0", 1), ("2.0", 2), ("3.0", 3)])
def test_yan_table4(row, gamma):  # §IV-E.2: the threshold fixed at 0.8
    check(planned("yan2022.table4", row, SYNTHIA), YAN | {"gamma": gamma, "threshold": 0.8, "a": 1.0}, {})


@pytest.mark.parametrize(
    ("row", "a", "b", "d"),  # §IV-E.3, Table V
    [
        ("a=0.9 b=0.8 d=4", 0.9, 0.8, 4),
        ("a=0.9 b=0.8 d=8", 0.9, 0.8, 8),
        ("a=0.9 b=0.8 d=10", 0.9, 0.8, 10),
        ("a=0.9 b=0.9 d=8", 0.9, 0.9, 8),
        ("a=0.9 b=0.5 d=8", 0.9, 0.5, 8),
    ],
)
def test_yan_table5(row, a, b, d):
    check(planned("yan2022.table5", row, SYNTHIA), YAN | {"a": a, "b": b, "d": d, "gamma": 2}, {})


def test_yan_thresholds_and_weights():
    for threshold in (0.2, 0.4, 0.6, 0.8):  # Table VI
        resolved = planned("yan2022.table6", f"Neutral, {threshold}", SYNTHIA)
        check(resolved, {"threshold": threshold, "lambda_u": 0.01}, {})
    check(planned("yan2022.figure7", "Focal, 0.005", SYNTHIA), {"lambda_u": 0.005}, {})  # Fig. 7
    check(planned("yan2022.figure8", "1.4", SYNTHIA), {"lambda_m": 1.4}, {})  # Fig. 8


# --- the files themselves ---------------------------------------------------------------------------------------------


def every_field():
    for paper in PAPERS:
        content = json.loads((files("labkit.papers") / "recipes" / f"{paper}.json").read_text(encoding="utf-8"))
        for stage, about in (("every", {"fields": content["every"]}), *content["stages"].items()):
            for name, field in about["fields"].items():
                if field is not None:
                    yield f"{paper} {stage} {name}", field


def methods_of(paper: str) -> set[str]:
    content = json.loads((files("labkit.papers") / "recipes" / f"{paper}.json").read_text(encoding="utf-8"))
    return {method for about in content["stages"].values() for method in about["methods"]}


@pytest.mark.parametrize(("where", "field"), list(every_field()))
def test_every_value_has_a_section_or_a_reason_of_ours(where, field):
    assert set(field) <= {"value", "section", "ours", "reason", "printed", "by", "open", "kind", "methods"}
    assert "value" in field and (field.get("section") or (field.get("ours") and field.get("reason")))
    assert not field.get("ours") or field.get("reason")
    if "by" in field:
        assert "other" in field["value"] and set(field.get("open", {})) <= set(field["value"]) - {"other"}
    assert set(field.get("methods", ())) <= {method for paper in PAPERS for method in methods_of(paper)}


@pytest.mark.parametrize("paper", PAPERS)
def test_what_a_recipe_sets_is_valid(paper):
    assert recipe_notes(paper)
    for stage in stages(paper):
        found = {name: field.value for name, field in recipe(paper, stage, model="bisenet", source="gta5").items()}
        for cls in (Recipe, Inputs):
            own = {name: value for name, value in found.items() if name in settings.names(cls)}
            settings.with_settings(cls(), own)


def test_a_stage_is_found_by_its_method():
    assert stage_of("baitan2025", "oracle") == "target" and stage_of("baitan2025", "my-own") == "source"
    assert stage_of("loda2025", "mmd-multilevel") == "mmd" and stage_of("yan2022", "cim") == "stage-two"
    assert papers_of("oracle") == list(PAPERS) and papers_of("mmd") == ["loda2025"] and papers_of("adabn") == []


def test_unknown_names_list_the_known():
    with pytest.raises(UnknownNameError, match="known: baitan2025, loda2025, toldo2020, yan2022"):
        recipe("tsai2018", "source")
    with pytest.raises(UnknownNameError, match="known: compared, joint, oracle, source"):
        recipe("toldo2020", "stage-three")
    with pytest.raises(UnknownNameError, match="known: baitan2025"):
        Lab("smoke", paper="tsai2018")


def test_what_the_paper_does_not_have_is_ours():
    field = recipe("baitan2025", "target", model="unet")["batch_size"]
    assert field.value == 4 and field.ours and "no model unet" in field.reason


def test_steps_are_epochs_of_the_papers_count_of_images():
    fields = recipe("loda2025", "mmd", model="unet")
    assert steps_of(fields).value == 31_250 and "10 epochs of 12,500 images" in steps_of(fields).reason


# --- and what runs ----------------------------------------------------------------------------------------------------


def test_other_profiles_stay_what_they_are():
    for name, profile in PROFILES.items():
        if name == "paper":
            continue
        for paper in PAPERS:
            experiment = Lab(name, paper=paper).experiment("bisenet", "source-only")
            expected = Recipe(steps=profile.steps, batch_size=profile.batch_size, evaluate_every=profile.evaluate_every)
            assert experiment.recipe == expected and experiment.weights == profile.weights


def test_on_other_data_the_papers_sizes_take_their_shape():
    """Only what a paper prints is called printed; a value of ours keeps its reason."""
    camvid = Lab("paper", "minicity-camvid", workers=1).plan("bisenet", "source-only")
    target, source = camvid["target_size"], camvid["source_size"]
    assert target.value == source.value == (512, 680) and target.ours and source.ours
    assert target.printed == (512, 1024) and target.reason == "the shape of MiniCity game → CamVid"
    assert source.printed is None and source.reason.startswith("GTA5's training size is not given")
    assert source.reason.endswith("; the shape of MiniCity game → CamVid")
    same = Lab("paper", "minicity", workers=1).plan("bisenet", "source-only")["target_size"]
    assert same.value == (512, 1024) and not same.ours and same.printed is None, "2:1 as Cityscapes"
    extra = Lab("paper", "minicity", paper="yan2022").plan("bisenet", "cim")
    assert "unlabelled" not in extra and extra["target_images"].printed == 19_997 and extra["target_images"].ours


def test_the_unlabelled_pictures_are_those_that_the_paper_names(tmp_path):
    make(tmp_path / "synthia", "toon", "synthia", 2, (48, 96))
    make(tmp_path / "cityscapes", "real", "cityscapes", 5, (48, 96))
    lab = Lab("paper", SYNTHIA, paper="yan2022", data=tmp_path, workers=1)
    small = {"source_size": "48x96", "target_size": "48x96", "weights": "none", "source_crop": "none"}
    with pytest.raises(LabError, match=r"leftImg8bit_trainextra\.zip"):
        lab.experiment("bisenet", "adversarial", stage="stage-one", **small)
    extra = tmp_path / "cityscapes" / "leftImg8bit" / "train_extra" / "bayreuth"
    extra.mkdir(parents=True)
    for path in (tmp_path / "cityscapes" / "leftImg8bit" / "train").rglob("*.png"):
        (extra / f"bayreuth_{len(list(extra.iterdir())):06}_000000_leftImg8bit.png").write_bytes(path.read_bytes())
    lab = Lab("paper", SYNTHIA, paper="yan2022", data=tmp_path, workers=1)
    experiment = lab.experiment("bisenet", "adversarial", stage="stage-one", **small)
    names = {stream: data["name"] for stream, data in experiment.describe()["data"].items()}
    assert "extra" in names["target"] and "extra" not in experiment.report.name
    large = lab.experiment("deeplabv2", "adversarial", stage="stage-one", **small).describe()
    assert "extra" not in large["data"]["target"]["name"]


@pytest.mark.parametrize("profile", ["smoke", "paper"])
def test_a_dry_run_is_what_the_experiment_would_train(profile):
    """On generated data, so that the experiment can be opened; rows that are not there yet are left out."""
    checked = 0
    for name in SWEEPS:
        lab = Lab(profile, "minicity", paper=name.partition(".")[0], workers=1)
        for row, about in zip(SWEEPS[name].rows, plan_sweep(name, "minicity", profile, [0])["rows"], strict=True):
            if about["missing"] or row.start or about["recipe"]["weights"]["value"] not in ("none", "imagenet"):
                continue
            experiment = lab.experiment(row.model, row.method, stage=row.stage, **values_of(row, lab))
            resolved = {field: one["value"] for field, one in about["recipe"].items()}
            own = settings.describe(experiment.recipe) | {"weights": experiment.weights}
            own |= settings.describe(experiment.method)
            assert own == {field: resolved[field] for field in own}, f"{name} {row.name}"
            for stream, dataset in experiment.datasets.items():
                size = "source_size" if stream == "source" else "target_size"
                assert dataset.fingerprint()["size"] == resolved[size]
            assert experiment.report.fingerprint()["size"] == resolved["target_size"]
            checked += 1
    assert checked >= 12


def test_the_description_that_names_a_run_has_what_the_recipe_says():
    described = Lab("paper", "minicity", workers=1).experiment("deeplabv2", "oracle").describe()
    assert described["recipe"]["batch_size"] == 2 and described["recipe"]["precision"] == "16-mixed"
    assert described["recipe"]["optimizer"] == "sgd" and described["recipe"]["schedule"] == "poly"
    assert described["data"]["labelled_target"]["size"] == [512, 1024] and described["model"]["weights"] == "imagenet"
    assert described["method"]["beta"] == 0.4


def test_what_is_asked_for_goes_before_the_recipe():
    lab = Lab("paper", "minicity", workers=1)
    experiment = lab.experiment("bisenet", "oracle", learning_rate=0.01, target_size="64x128", weights="none", beta=0)
    assert experiment.recipe.learning_rate == 0.01 and experiment.recipe.batch_size == 4
    assert experiment.datasets["labelled_target"].fingerprint()["size"] == [64, 128] and experiment.weights == "none"
    assert experiment.method.beta == 0
    own = Oracle(beta=0.7)
    assert lab.experiment("bisenet", own).method.beta == 0.7, "a method object keeps its own settings"
