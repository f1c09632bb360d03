"""The images of a case on one grid: untouched, resampled, registered, or refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import brighter_half, moved_case, phantom_images, target

from nnunet_hetero.cases.orientation import orientation_of, reoriented
from nnunet_hetero.dataset_conversion.phantom import make_phantom
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake import one_case
from nnunet_hetero.intake.images.grids import grid_of
from nnunet_hetero.intake.images.masks import StripProgram
from nnunet_hetero.intake.one_case import prepare_images
from nnunet_hetero.intake.options import IntakeOptions
from nnunet_hetero.intake.registration.register import Registration
from nnunet_hetero.modalities import Modalities

FOUND = Registration(sitk.Euler3DTransform(), 0.9, 0.905, 0.2, 0.2, 0.99, 0.1, 0.1)


@pytest.fixture
def no_registration(monkeypatch):
    """What registration finds, without the time that it takes; change it by calling it."""

    def becomes(**changes):
        found = replace(FOUND, **changes)
        monkeypatch.setattr(one_case, "register", lambda fixed, image: found)

    becomes()
    return becomes


def _array(image):
    return sitk.GetArrayFromImage(image)


def test_fates(prepared):
    assert {name: fate.became for name, fate in prepared.fates.items()} == {
        "T1": "reference",
        "T1c": "same grid",
        "T2": "same grid",
        "FLAIR": "registered",
    }
    assert prepared.reference == "T1"


def test_on_one_grid_in_the_models_orientation(prepared):
    assert {orientation_of(image) for image in prepared.images.values()} == {"RAS"}
    assert all(grid_of(image).displacement(prepared.grid) == 0 for image in prepared.images.values())
    assert prepared.arrays["FLAIR"].shape == tuple(reversed(prepared.grid.shape))
    assert prepared.spacing == pytest.approx((6, 6, 6), abs=0.3)


def test_untouched_to_the_bit(prepared):
    for name in ("T1", "T1c", "T2"):
        back = reoriented(prepared.images[name], orientation_of(phantom_images()[name]))
        assert np.array_equal(_array(back), _array(phantom_images()[name]))
        assert back.GetPixelID() == phantom_images()[name].GetPixelID()


def test_the_moved_one_is_where_it_belongs(prepared):
    truth, found = _array(reoriented(phantom_images()["FLAIR"], "RAS")), prepared.arrays["FLAIR"]
    inside = (truth > 0) & (found > 0)
    assert inside.sum() > 0.93 * (truth > 0).sum()
    assert np.corrcoef(truth[inside], found[inside])[0, 1] > 0.85


def test_without_registration():
    found = prepare_images("a", moved_case(), target(), IntakeOptions(register=False))
    assert found.fates["FLAIR"].became == "resampled" and found.fates["FLAIR"].registration is None


def test_headers_that_are_believed_and_place_an_image_elsewhere():
    """What comes out must not be a modality that the case lacks."""
    far = sitk.Image(phantom_images()["T2"])
    far.SetOrigin([place + 900 for place in far.GetOrigin()])
    with pytest.raises(DataError, match="T2 has nothing where T1 lies: by its header it is elsewhere"):
        prepare_images("a", {"T1": phantom_images()["T1"], "T2": far}, target(), IntakeOptions(register=False))
    far.SetOrigin([place + 60 for place in phantom_images()["T2"].GetOrigin()])
    found = prepare_images("a", {"T1": phantom_images()["T1"], "T2": far}, target(), IntakeOptions(register=False))
    assert "of the smaller image's tissue overlaps where the headers place both" in found.fates["T2"].doubt


def test_another_part_of_the_body_on_the_same_grid():
    """Two legs: nothing is registered, so nothing else would look at them."""
    head = phantom_images()["T2"]
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, size) for size in reversed(head.GetSize())), indexing="ij")
    legs = sitk.GetImageFromArray(np.where(np.hypot(y, np.abs(x) - 0.8) < 0.2, 400 + 100 * z, 0).astype(np.float32))
    legs.CopyInformation(head)
    found = prepare_images("a", {"T1": phantom_images()["T1"], "T2": head, "FLAIR": legs}, target(), IntakeOptions())
    assert found.fates["FLAIR"].became == "same grid"
    assert "of the smaller image's tissue overlaps where the headers place both" in found.fates["FLAIR"].doubt
    assert found.fates["T1"].doubt == found.fates["T2"].doubt == ""


def test_a_mask_that_keeps_nothing():
    corner = np.zeros(_array(phantom_images()["T1"]).shape, np.uint8)
    corner[:2, :2, :2] = 1
    mask = sitk.GetImageFromArray(corner)
    mask.CopyInformation(phantom_images()["T1"])
    with pytest.raises(DataError, match="Case 'a': the mask x keeps nothing of T1"):
        prepare_images("a", {"T1": phantom_images()["T1"]}, target(), IntakeOptions(mask="x"), mask=mask)


def test_the_reference():
    images = moved_case()
    options = IntakeOptions(register=False)
    assert prepare_images("a", images, target(), replace(options, reference=("FLAIR", "T1"))).reference == "FLAIR"
    without = {name: image for name, image in images.items() if name != "FLAIR"}
    assert prepare_images("a", without, target(), replace(options, reference=("FLAIR", "T2"))).reference == "T2"
    with pytest.raises(DataError, match="has none of the references FLAIR; it has T1, T1c, T2"):
        prepare_images("a", without, target(), replace(options, reference=("FLAIR",)))
    without_orientation = prepare_images("a", images, target(orientation=None), options)
    assert orientation_of(without_orientation.images["T1"]) == orientation_of(images["T1"])


def test_headers_that_agree(no_registration):
    """Nothing is gained, so nothing is moved."""
    found = prepare_images("a", moved_case(), target(), IntakeOptions())
    assert found.fates["FLAIR"].became == "resampled"
    assert found.transforms["FLAIR"].GetParameters() == (0.0,) * 6


def test_one_frame_of_reference(no_registration):
    """A registration that is not believed is an error, but for images of one session."""
    no_registration(disagreement=9.0)
    frames = {"T1": "1.2.3", "FLAIR": "1.2.3"}
    found = prepare_images("a", moved_case(), target(), IntakeOptions(), frames)
    assert found.fates["FLAIR"].became == "resampled"
    assert "shares the frame of reference" in found.fates["FLAIR"].notes[0]
    for others in ({"T1": "1.2.3", "FLAIR": "1.2.4"}, {}, {"T1": None, "FLAIR": None}):
        with pytest.raises(DataError, match=r"Case 'a': FLAIR cannot be registered to T1: .* 9.0 mm apart"):
            prepare_images("a", moved_case(), target(), IntakeOptions(), others)


def test_a_registration_that_is_doubtful(no_registration):
    """Only where it counts: an image that stays where its header places it has none."""
    no_registration(after=2.0, inside=2.0)
    fates = prepare_images("a", moved_case(), target(), IntakeOptions()).fates
    assert "by the inside of the head alone" in fates["FLAIR"].doubt and fates["FLAIR"].became == "registered"
    assert not any(fate.doubt for name, fate in fates.items() if name != "FLAIR")
    no_registration(inside=2.0)
    assert prepare_images("a", moved_case(), target(), IntakeOptions()).fates["FLAIR"].doubt == ""


def test_a_slab_too_thin_to_register():
    images = moved_case()
    images["FLAIR"] = images["FLAIR"][:, :, 10:13]
    with pytest.raises(DataError, match=r"Case 'a': FLAIR cannot be registered to T1: an image of .* mm is too small"):
        prepare_images("a", images, target(), IntakeOptions())
    frames = {"T1": "1.2.3", "FLAIR": "1.2.3"}
    assert prepare_images("a", images, target(), IntakeOptions(), frames).fates["FLAIR"].became == "resampled"


def test_empty_images_are_absent(no_registration):
    images = {**moved_case(), "T2": phantom_images()["T2"] * 0}
    found = prepare_images("a", images, target(), IntakeOptions())
    assert found.fates["T2"].became == "absent" and found.fates["T2"].notes == ("empty image",)
    assert "T2" not in found.images
    with pytest.raises(DataError, match="has no image that is not empty"):
        prepare_images("a", {"T2": images["T2"]}, target(), IntakeOptions())


def test_doubts_are_noted(no_registration):
    images = {"T1": phantom_images()["T1"], "T2": phantom_images()["T1"]}
    found = prepare_images("a", images, target(), IntakeOptions())
    assert "voxel by voxel the same as T1" in found.fates["T2"].notes[0]


class TestSkulls:
    @pytest.fixture
    def head(self):
        """With something around the brain."""
        return {name: phantom_images()[name] + 5 for name in ("T1", "T2")}

    def test_are_refused(self, head):
        with pytest.raises(DataError, match=r"Case 'a': T1: its background is not zero .*--strip.*--keep-background"):
            prepare_images("a", head, target(zero_background=True), IntakeOptions())

    @pytest.mark.parametrize("known", [False, None])
    def test_are_fine_for_models_that_know_them(self, head, known):
        assert not prepare_images("a", head, target(zero_background=known), IntakeOptions()).skulls

    def test_may_be_meant(self, head):
        found = prepare_images("a", head, target(zero_background=True), IntakeOptions(keep_background=True))
        assert set(found.skulls) == {"T1", "T2"}

    def test_are_taken_off(self, head, monkeypatch):
        brain = reoriented(phantom_images()["T1"], "RAS") > 0
        monkeypatch.setattr(StripProgram, "mask", lambda self, image, case, scratch: brain)
        options = IntakeOptions(strip=StripProgram(("x",)))
        found = prepare_images("a", head, target(zero_background=True), options)
        outside = _array(brain) == 0
        assert all(not array[outside].any() and array.any() for array in found.arrays.values())


class TestOneBrain:
    """A rim that resampled images have beyond the reference's brain changes how nnU-Net normalises all of them."""

    def rimmed(self) -> dict[str, sitk.Image]:
        """A case whose FLAIR has a rim, on another grid."""
        found = {name: phantom_images()[name] for name in ("T1", "FLAIR")}
        flair = sitk.Cast(found["FLAIR"], sitk.sitkFloat32)
        rim = sitk.BinaryDilate(found["T1"] > 0, (1, 0, 0)) - (found["T1"] > 0)
        flair = sitk.Maximum(flair, sitk.Cast(rim, sitk.sitkFloat32))
        flair.SetOrigin([place + 0.5 for place in flair.GetOrigin()])
        return found | {"FLAIR": flair}

    @pytest.mark.parametrize(("known", "cut"), [(None, True), (True, True), (False, False)])
    def test_is_the_references(self, known, cut, no_registration):
        found = prepare_images("a", self.rimmed(), target(zero_background=known), IntakeOptions())
        beyond = (found.arrays["FLAIR"] != 0) & (found.arrays["T1"] == 0)
        assert found.fates["FLAIR"].became in ("resampled", "registered")
        assert (not beyond.any()) is cut
        assert any("cut to the reference's brain" in note for note in found.fates["FLAIR"].notes) is cut
        assert np.array_equal(found.arrays["T1"], _array(reoriented(phantom_images()["T1"], "RAS")))

    def test_not_where_skulls_are_meant(self, no_registration):
        options = IntakeOptions(keep_background=True)
        found = prepare_images("a", self.rimmed(), target(zero_background=True), options)
        assert ((found.arrays["FLAIR"] != 0) & (found.arrays["T1"] == 0)).any()


class TestStrippedApart:
    """Images on one grid, each without skull by a program of its own."""

    def images(self) -> dict[str, sitk.Image]:
        """The T2 lacks the outermost voxels of the T1 and the T1c."""
        found = {name: phantom_images()[name] for name in ("T1", "T1c", "T2")}
        return found | {"T2": sitk.Mask(found["T2"], sitk.BinaryErode(found["T1"] > 0, (1, 0, 0)))}

    def test_are_told_and_untouched(self):
        found = prepare_images("a", self.images(), target(zero_background=True), IntakeOptions())
        for name, image in self.images().items():
            assert np.array_equal(found.arrays[name], _array(reoriented(image, "RAS")))
            assert any("in which other images of the case are not" in note for note in found.fates[name].notes) is (
                name == "T2"
            )

    def test_a_mask_that_is_too_large_is_told_of(self):
        mask = phantom_images()["T1"] > 0
        found = prepare_images("a", self.images(), target(), IntakeOptions(mask="m"), mask=mask)
        assert any("in which other images" in note for note in found.fates["T2"].notes)

    def test_are_cut_to_what_they_share_on_demand(self):
        found = prepare_images("a", self.images(), target(), IntakeOptions(common_brain=True))
        assert all(np.array_equal(found.arrays[name] != 0, found.arrays["T2"] != 0) for name in ("T1", "T1c"))
        assert not any("in which other images" in note for fate in found.fates.values() for note in fate.notes)

    def test_a_common_brain_of_whole_heads_is_refused(self):
        heads = {name: sitk.Cast(image, sitk.sitkFloat32) + 1 for name, image in self.images().items()}
        with pytest.raises(DataError, match=r"Case .a.: T1: its background is not zero .*--common-brain"):
            prepare_images("a", heads, target(zero_background=False), IntakeOptions(common_brain=True))


class TestMask:
    """`--mask`, drawn on any of the images."""

    def test_on_the_image_that_was_moved(self, prepared):
        mask = moved_case()["FLAIR"] > 0
        found = prepare_images("a", moved_case(), target(), IntakeOptions(register=False, mask="m"), mask=mask)
        share = np.mean(_array(found.images["T1"]) > 0) / np.mean(_array(prepared.images["T1"]) > 0)
        assert 0.6 < share < 0.97  # the head has moved, the mask with it

    def test_on_the_reference(self):
        mask = brighter_half(phantom_images()["T1"])
        found = prepare_images("a", moved_case(), target(), IntakeOptions(register=False, mask="m"), mask=mask)
        assert np.array_equal(_array(found.images["T1"]) > 0, _array(reoriented(mask, "RAS")) > 0)

    def test_on_another_grid(self):
        mask = brighter_half(phantom_images()["T1"])[:-2]
        with pytest.raises(DataError, match="Case 'a': the mask m lies on the grid of none of the images: shape"):
            prepare_images("a", moved_case(), target(), IntakeOptions(register=False, mask="m"), mask=mask)


def test_bias_fields(no_registration):
    found = prepare_images("a", {"T1": phantom_images()["T1"]}, target(), IntakeOptions(n4=True))
    before = _array(reoriented(phantom_images()["T1"], "RAS"))
    assert found.arrays["T1"].dtype == np.float32 and not np.array_equal(found.arrays["T1"], before)
    assert not found.arrays["T1"][before == 0].any()


@pytest.mark.parametrize("became", ["same grid", "resampled", "registered"])
@pytest.mark.parametrize("patient", [1, 2])
def test_the_head_of_another_patient_is_told(no_registration, became, patient):
    """Wherever its header puts it, and also where registration believes that both fit; PET is not judged."""
    no_registration(after=1.2)
    size, edge = 80, 2.4

    def image(index, name, offset=0.0):
        made = sitk.GetImageFromArray(np.ascontiguousarray(make_phantom(index, size, seed=3)[name].T))
        made.SetSpacing([edge] * 3)
        made.SetOrigin([offset] * 3)
        return made

    options = IntakeOptions(reference=("T1",), register=became == "registered")
    other = image(patient, "t2", 0.0 if became == "same grid" else 0.3)
    wanted = target(modalities=Modalities(("T1", "T2", "PET")))
    fates = prepare_images("a", {"T1": image(1, "t1"), "T2": other, "PET": other}, wanted, options).fates
    assert {fates["T2"].became, fates["PET"].became} == {became}
    assert ("is it of the same patient" in fates["T2"].doubt) == (patient == 2)
    assert not fates["PET"].doubt
