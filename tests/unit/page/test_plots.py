import re

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import LogNorm, to_hex
from matplotlib.quiver import Quiver

from gpcore import figures, plots
from gpcore.training.config import History


@pytest.fixture
def ax():
    with matplotlib.rc_context():
        yield figures.figure()[1]


def to_svg(ax):
    return figures.to_svg(ax.figure, "A figure drawn by a test of plots")


def cone(points):
    """A critic whose gradient norm is |x| in closed form."""
    return (points**2).sum(1) / 2


def test_band_is_median_and_range(ax):
    runs = torch.tensor([[1.0, 2.0, 9.0], [3.0, 4.0, 5.0], [2.0, 8.0, 7.0]])
    plots.band(ax, torch.arange(3), runs, figures.CRITIC, "three runs", log=True)
    line, area = ax.lines[0], ax.collections[0]
    assert line.get_xdata().tolist() == [0, 1, 2] and line.get_ydata().tolist() == [2, 4, 7]
    corners = {tuple(vertex) for vertex in area.get_paths()[0].vertices}
    assert corners == {(0, 1), (0, 3), (1, 2), (1, 8), (2, 5), (2, 9)}
    assert line.get_label() == "three runs" and ax.get_yscale() == "log"
    assert line.get_color() == figures.CRITIC and line.get_marker() == figures.MARKERS[figures.CRITIC]


def test_band_marks_where_a_run_diverged_and_goes_on_with_the_others(ax):
    nan = float("nan")
    plots.band(ax, [0, 1, 2, 3], [[1, 2, nan, nan], [3, 4, 5, nan]], figures.REAL, "runs")
    middle, first, second = ax.lines
    np.testing.assert_equal(middle.get_ydata(), [2, 3, 5, nan])
    assert [(*line.get_xdata(), *line.get_ydata()) for line in (first, second)] == [(1, 2), (2, 5)]
    assert first.get_marker() == "x"
    to_svg(ax)


def test_band_of_a_long_series_is_short_and_keeps_its_spikes(ax):
    runs = np.ones((3, 10_000))
    runs[1, 4321], runs[2, 77] = 50, -20
    plots.band(ax, np.arange(10_000), runs, figures.REAL, "runs")
    vertices = ax.collections[0].get_paths()[0].vertices
    assert len(ax.lines[0].get_xdata()) == plots.MAX_POINTS
    assert vertices[:, 1].max() == 50 and vertices[:, 1].min() == -20
    assert vertices[vertices[:, 1] == 50][0, 0] == pytest.approx(4321, abs=10_000 / plots.MAX_POINTS)
    assert len(to_svg(ax)) < 60_000


def test_band_takes_a_single_run_and_refuses_other_lengths(ax):
    plots.band(ax, [0, 1], [5, 6], figures.REAL, "run")
    assert ax.lines[0].get_ydata().tolist() == [5, 6]
    with pytest.raises(ValueError, match=r"runs must have shape \(S, 3\), one column for each x, got \(1, 2\)"):
        plots.band(ax, [0, 1, 2], [5, 6], figures.REAL, "run")


def test_curves_reads_fields_and_scores_and_copes_with_a_diverged_run(ax):
    whole = History(0, step=[10, 20, 30], critic_loss=[3.0, 2.0, 1.0], score_step=[30], scores={"modes": [8.0]})
    broken = History(1, step=[10, 20], critic_loss=[5.0, 4.0], score_step=[], scores={"modes": []}, diverged_at=25)
    plots.curves(ax, [broken, whole], "critic_loss", figures.CRITIC, "both")
    assert ax.lines[0].get_xdata().tolist() == [10, 20, 30] and ax.lines[0].get_ydata().tolist() == [4, 3, 1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("generator step", "critic loss")
    plots.curves(ax, [broken, whole], "modes", figures.CRITIC, "score")
    assert ax.lines[-1].get_xdata().tolist() == [30] and ax.lines[-1].get_ydata().tolist() == [8]


def test_samples_differ_by_marker_and_large_clouds_are_rasterised(ax):
    plots.samples(ax, torch.randn(50, 2, requires_grad=True), np.zeros((plots.MAX_MARKERS + 1, 2)), 3.0)
    real, fake = ax.lines
    assert (real.get_color(), fake.get_color()) == (figures.REAL, figures.GENERATED)
    assert real.get_marker() != fake.get_marker()
    assert not real.get_rasterized() and fake.get_rasterized()
    assert ax.get_xlim() == ax.get_ylim() == (-3, 3)


def test_samples_of_one_kind(ax):
    plots.samples(ax, fake=torch.zeros(5, 2))
    assert [line.get_label() for line in ax.lines] == ["generated"]


def test_value_surface_puts_values_where_they_belong(ax):
    plots.value_surface(ax, lambda p: p[:, 0] + 10 * p[:, 1], (0, 1, 0, 2), n=5)
    image = ax.images[0]
    expected = np.linspace(0, 1, 5)[None] + 10 * np.linspace(0, 2, 5)[:, None]
    np.testing.assert_allclose(image.get_array(), expected, rtol=1e-6)
    assert image.origin == "lower"
    np.testing.assert_allclose(image.get_extent(), (-0.125, 1.125, -0.25, 2.25))  # pixels are centred on the points
    assert ax.get_xlim() == (0, 1) and ax.get_ylim() == (0, 2)


def test_value_surface_takes_networks_in_their_precision_and_given_grids(ax):
    network = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0)).double()
    plots.value_surface(ax, network, 1.0, real=torch.zeros(3, 2), n=4)
    values = ax.images[0].get_array()
    plots.value_surface(ax, torch.as_tensor(np.asarray(values)), 1.0)
    np.testing.assert_array_equal(ax.images[0].get_array(), ax.images[1].get_array())
    assert ax.images[0].get_extent() == ax.images[1].get_extent()


def test_norm_map_takes_a_network_in_its_precision(ax):
    layer = torch.nn.Linear(2, 1, dtype=torch.float64)
    plots.norm_map(ax, torch.nn.Sequential(layer, torch.nn.Flatten(0)), 1.0, n=4)
    np.testing.assert_allclose(ax.images[0].get_array(), layer.weight.norm().item())


def test_value_surface_of_a_constant_critic_has_no_contours(ax):
    plots.value_surface(ax, lambda p: torch.ones(len(p)), 1.0)
    to_svg(ax)


def test_norm_map_shows_the_closed_form_and_the_line_at_one(ax):
    plots.norm_map(ax, cone, 2.0, n=41)
    coordinates = np.linspace(-2, 2, 41)
    expected = np.hypot(*np.meshgrid(coordinates, coordinates))
    image = ax.images[0]
    shown = np.asarray(image.get_array())
    np.testing.assert_allclose(shown, np.clip(expected, image.norm.vmin, image.norm.vmax), rtol=1e-5)
    assert isinstance(image.norm, LogNorm) and image.norm.vmin * image.norm.vmax == pytest.approx(1)
    line = np.concatenate(ax.collections[0].get_paths()[0].to_polygons(closed_only=False))
    np.testing.assert_allclose(np.hypot(*line.T), 1, atol=0.01)


@pytest.mark.parametrize("norms", [np.zeros((4, 4)), np.ones((4, 4)), np.full((4, 4), 1e-9), np.full((4, 4), 1e9)])
def test_norm_map_of_extreme_norms(ax, norms):
    plots.norm_map(ax, norms, 1.0)
    assert ax.images[0].norm.vmax <= 100
    to_svg(ax)


def test_layer_norms_run_along_depth_on_a_log_scale(ax):
    plots.layer_norms(ax, {"clipped": 10.0 ** -np.arange(4), "penalty": torch.ones(3, 4)})
    assert ax.get_yscale() == "log" and ax.lines[0].get_xdata().tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1, 0.1, 0.01, 0.001])
    assert len({(line.get_color(), line.get_marker()) for line in ax.lines}) == 2


@pytest.mark.parametrize("function", [plots.layer_norms, plots.weight_histogram, plots.histogram_of_norms])
def test_too_many_series_are_refused_and_not_dropped(ax, function):
    with pytest.raises(ValueError, match="must hold 1 to 6 series, got 7"):
        function(ax, {str(i): np.ones(5) for i in range(7)})


def test_weight_histogram_shows_shares_and_bounds(ax):
    weights = torch.tensor([[-0.01] * 30, [0.0] * 30, [0.01] * 30, [0.5] * 30])
    plots.weight_histogram(ax, {"clipped": weights}, clip=0.01)
    values, edges, _ = ax.patches[0].get_data()
    assert values.sum() == pytest.approx(0.75)  # the quarter beyond the bounds is counted and not drawn
    assert sorted(values)[-3:] == pytest.approx([0.25, 0.25, 0.25])
    for weight, i in zip((-0.01, 0, 0.01), np.flatnonzero(values), strict=True):
        assert edges[i] + 1e-6 < weight < edges[i + 1] - 1e-6
    assert [line.get_xdata()[0] for line in ax.lines] == [-0.01, 0.01]


def test_histogram_of_norms_has_a_line_at_the_target(ax):
    plots.histogram_of_norms(ax, {"held out": np.full(100, 1.5)}, target=0.5)
    values, edges, _ = ax.patches[0].get_data()
    peak = values.argmax()
    assert values[peak] == 1 and edges[peak] <= 1.5 <= edges[peak + 1]
    assert ax.lines[0].get_xdata()[0] == 0.5


def test_heat_maps_are_small_and_smooth_and_tiles_are_not_smoothed(ax):
    plots.value_surface(ax, lambda x: x.square().sum(1), 2.0)
    svg = figures.to_svg(ax.figure, "a bowl, as a heat map")
    assert len(svg) < 40_000 and '<image href="data:image/png' in svg and "image-rendering" not in svg
    fig, ax = figures.figure()
    plots.image_grid(ax, torch.zeros(8, 1, 8, 8))
    assert "image-rendering:pixelated" in figures.to_svg(fig, "tiles with hard edges")


def test_image_grid_lays_tiles_row_by_row(ax):
    images = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 1, 2, 3) / 5
    plots.image_grid(ax, images, columns=3)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (2 * 3 - 1, 3 * 4 - 1)
    np.testing.assert_allclose(sheet[0:2, 4:7], 0.2)
    np.testing.assert_allclose(sheet[3:5, 4:7], 0.8)
    assert np.ma.getmaskarray(sheet)[:, 3].all() and np.ma.getmaskarray(sheet)[3:, 8:].all()
    assert ax.images[0].get_clim() == (-1, 1)


def test_vector_field_keeps_directions(ax):
    plots.vector_field(ax, lambda p: np.stack([-p[:, 1], p[:, 0]], 1), 1.0, n=5)
    (quiver,) = (artist for artist in ax.collections if isinstance(artist, Quiver))
    arrows, points = np.stack([quiver.U, quiver.V], 1), quiver.XY
    np.testing.assert_allclose((arrows * points).sum(1), 0, atol=1e-12)  # a rotation is at right angles to the radius
    np.testing.assert_allclose(np.linalg.norm(arrows, axis=1) ** 2, np.linalg.norm(points, axis=1), atol=1e-12)
    assert np.abs(points).max() < 1 and np.isfinite(arrows).all()


def test_trajectory_marks_start_end_and_equilibrium(ax):
    plots.trajectory(ax, torch.tensor([[1.0, 1.0], [0.5, 2.0], [0.2, 0.3]]))
    path, start, end, origin = ax.lines
    assert path.get_xydata().shape == (3, 2)
    np.testing.assert_allclose([*start.get_xydata(), *end.get_xydata(), *origin.get_xydata()],
                               [[1, 1], [0.2, 0.3], [0, 0]], rtol=1e-6)  # fmt: skip
    assert len({line.get_marker() for line in (start, end, origin)}) == 3


def test_arrows_start_at_the_origin_and_fit(ax):
    plots.arrows(ax, [(3, 4), (-0.6, 0.8)], ["gradient", "turned"], [figures.GRADIENT, figures.NEUTRAL])
    assert [tuple(text.xy) for text in ax.texts] == [(3, 4), (-0.6, 0.8)]
    assert all(text.get_position() == (0, 0) for text in ax.texts)
    assert [to_hex(text.arrow_patch.get_edgecolor()) for text in ax.texts] == [figures.GRADIENT, figures.NEUTRAL]
    assert ax.get_xlim()[0] < -0.6 and ax.get_ylim()[1] > 4
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["gradient", "turned"]
    with pytest.raises(ValueError):
        plots.arrows(ax, [(1, 1)], ["one", "two"])


def test_no_plot_writes_a_colour_that_the_page_cannot_change(ax):
    plots.layer_norms(ax, {"a": [1.0, 2.0], "b": [2.0, 1.0]})
    plots.trajectory(ax, [[1.0, 1.0], [2.0, 2.0]])
    svg = re.sub(r"var\([^)]*\)", "", to_svg(ax))
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)


def test_thresholds_on_a_log_say_what_they_would_have_clipped(ax):
    plots.thresholds(ax, [1.0, 5.0, float("inf"), 1.0, 10.0, 4.0, 1.0, 1.0], taus=[2.0, 6.0])
    assert [line.get_label() for line in ax.lines] == ["norm", "2: clips 43%, stretches 2", "6: clips 14%, stretches 1"]
    assert [line.get_ydata()[0] for line in ax.lines[1:]] == [2.0, 6.0]
    assert ax.get_yscale() == "log" and ax.lines[0].get_xdata().tolist() == [0, 1, 3, 4, 5, 6, 7]
    assert "threshold 6: clips 14%, stretches 1" in [text for _, text in ax.figure.gp_said]
    with pytest.raises(ValueError, match="1 to 6 series"):
        plots.thresholds(ax, [1.0], taus=[])
