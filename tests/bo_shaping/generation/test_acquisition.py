import pytest
import torch

from bo_shaping.generation.acquisition import SimplexAcquisition
from bo_shaping.space.quasi_random import onto_places, scan_points, with_each_place

BOUNDS = torch.tensor([[0.0, 0.0, 0.0, 0.5], [1.0, 1.0, 1.0, 1.0]], dtype=torch.float64)
SIMPLEX = torch.tensor([0, 1, 2])


def test_scan_points_are_uniform_on_the_simplex_and_in_the_box():
    X = scan_points(4096, BOUNDS, SIMPLEX, 1.0, seed=0)
    torch.testing.assert_close(X[:, :3].sum(dim=1), torch.ones(4096, dtype=torch.float64))
    assert ((BOUNDS[0] <= X) & (BOUNDS[1] >= X)).all()
    on_face = (X[:, :3] == 0).any(dim=1)
    assert int(on_face.sum()) == 1024
    # Faces of both dimensions, edges and corners, and half of them at a bound of the parameter.
    corners = X[(X[:, :3] == 1).any(dim=1)]
    assert 400 < len(corners) < 620
    assert {int(corner.argmax()) for corner in corners[:, :3]} == {0, 1, 2}
    assert 400 < int(((X[on_face, 3] == 0.5) | (X[on_face, 3] == 1.0)).sum()) < 620
    # A uniform point of the simplex has weights of mean 1/3 and variance 1/18.
    inner = X[~on_face, :3]
    torch.testing.assert_close(inner.mean(dim=0), torch.full((3,), 1 / 3, dtype=torch.float64), atol=0.02, rtol=0)
    torch.testing.assert_close(inner.var(dim=0), torch.full((3,), 1 / 18, dtype=torch.float64), atol=0.01, rtol=0)


class StubAcquisition(SimplexAcquisition):
    """`SimplexAcquisition.optimize` on a known function, without Ax's constructor."""

    def __init__(self, peak, X_observed=None):
        self._peak = torch.tensor(peak, dtype=torch.float64)
        self.acqf = lambda X: -(X.squeeze(-2) - self._peak).pow(2).sum(dim=-1)
        self.X_observed, self.X_pending = X_observed, None

    @property
    def dtype(self):
        return torch.float64


class Digest:
    bounds = tuple(map(tuple, BOUNDS.T.tolist()))
    ordinal_features = ()


EQUALITY = [(SIMPLEX, torch.ones(3, dtype=torch.float64), 1.0)]


@pytest.mark.parametrize("peak", [[0.62, 0.21, 0.17, 0.83], [0.7, 0.3, 0.0, 1.0], [0.0, 0.0, 1.0, 0.5]])
def test_the_peak_is_found_inside_on_a_face_and_at_a_corner(peak):
    torch.manual_seed(0)
    candidates, values, arm_weights = StubAcquisition(peak).optimize(1, Digest(), equality_constraints=EQUALITY)
    assert candidates.shape == (1, 4)
    torch.testing.assert_close(candidates[0], torch.tensor(peak, dtype=torch.float64), atol=0.01, rtol=0)
    assert values.shape == arm_weights.shape == (1,)
    assert candidates[0, :3].sum() == pytest.approx(1.0, abs=1e-9)
    assert (candidates >= 0).all()


def test_the_peak_of_small_gains_is_found_too():
    """The knowledge gradient of a long study is far below one."""
    torch.manual_seed(0)
    acquisition = StubAcquisition([0.62, 0.21, 0.17, 0.83])
    whole = acquisition.acqf
    acquisition.acqf = lambda X: 0.01 * whole(X)
    candidates, *_ = acquisition.optimize(1, Digest(), equality_constraints=EQUALITY)
    torch.testing.assert_close(candidates[0], acquisition._peak, atol=0.01, rtol=0)


def test_an_arm_that_was_run_is_not_proposed_again():
    peak = [0.5, 0.3, 0.2, 0.8]
    observed = torch.tensor([peak], dtype=torch.float64)
    candidates, _, _ = StubAcquisition(peak, observed).optimize(1, Digest(), equality_constraints=EQUALITY)
    width = BOUNDS[1] - BOUNDS[0]
    assert torch.cdist(candidates / width, observed / width).item() > 0.01


def test_candidates_of_a_batch_keep_apart_and_pending_ones_are_put_back():
    class Repelled(StubAcquisition):
        """A known function that falls near what is pending."""

        def __init__(self, peak):
            super().__init__(peak)
            base = self.acqf

            class Acqf:
                X_pending = None

                def __call__(self, X):
                    taken = self.X_pending
                    if taken is None:
                        return base(X)
                    near = torch.cdist(X.squeeze(-2), taken).min(dim=-1).values
                    return base(X) - torch.exp(-((near / 0.3) ** 2))

                def set_X_pending(self, X):  # noqa: N802 - the name is botorch's
                    self.X_pending = X

            self.acqf = Acqf()

    acquisition = Repelled([0.4, 0.3, 0.3, 0.75])
    candidates, values, _ = acquisition.optimize(3, Digest(), equality_constraints=EQUALITY)
    assert candidates.shape == (3, 4)
    assert values.shape == (3,)
    torch.testing.assert_close(
        candidates[0], torch.tensor([0.4, 0.3, 0.3, 0.75], dtype=torch.float64), atol=0.02, rtol=0
    )
    assert torch.pdist(candidates).min() > 0.15
    assert acquisition.X_pending is None
    assert acquisition.acqf.X_pending is None


def test_fixed_features_and_bounds_of_weights_are_kept():
    class Bounded(Digest):
        bounds = ((0.0, 0.5), (0.2, 1.0), (0.1, 0.3), (0.5, 1.0))

    peak = [0.7, 0.1, 0.2, 0.8]
    candidates, _, _ = StubAcquisition(peak).optimize(
        1, Bounded(), equality_constraints=EQUALITY, fixed_features={3: 0.6}
    )
    # The nearest point of the bounded simplex: the excess of shap goes half and half, sparse as far as it can.
    expected = torch.tensor([0.5, 0.2, 0.3, 0.6], dtype=torch.float64)
    torch.testing.assert_close(candidates[0], expected, atol=0.01, rtol=0)


def test_whole_numbers_are_rounded_before_candidates_are_compared():
    class Counted(Digest):
        bounds = ((0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (1.0, 4.0))

    def round_last(x):
        return torch.cat([x[..., :3], x[..., 3:].round()], dim=-1)

    candidates, values, _ = StubAcquisition([0.2, 0.5, 0.3, 2.4]).optimize(
        1, Counted(), equality_constraints=EQUALITY, rounding_func=round_last
    )
    assert candidates[0, 3] == 2.0
    assert values.item() == pytest.approx(-(0.4**2), abs=0.01)


def test_without_free_weights_only_the_box_is_searched():
    class Box(Digest):
        bounds = ((0.5, 1.0), (0.0, 2.0))

    candidates, _, _ = StubAcquisition([0.7, 1.3]).optimize(1, Box(), equality_constraints=None)
    torch.testing.assert_close(candidates[0], torch.tensor([0.7, 1.3], dtype=torch.float64), atol=0.01, rtol=0)


def test_scanned_weights_stay_within_their_bounds_and_sum_to_what_is_left():
    bounds = torch.tensor([[0.1, 0.0, 0.0], [0.3, 0.2, 0.7]], dtype=torch.float64)
    X = scan_points(512, bounds, SIMPLEX, 0.7, seed=0)
    torch.testing.assert_close(X.sum(dim=1), torch.full((512,), 0.7, dtype=torch.float64))
    assert ((bounds[0] - 1e-12 <= X) & (bounds[1] + 1e-12 >= X)).all()
    assert X.std(dim=0).min() > 0.03


PLACED = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 3.0]], dtype=torch.float64)


class Placed(Digest):
    bounds = tuple(map(tuple, PLACED.T.tolist()))
    ordinal_features = (3,)


def test_places_get_equal_parts_of_the_scan():
    X = torch.linspace(0, 3, 1201, dtype=torch.float64).unsqueeze(1).expand(-1, 4).clone()
    placed = onto_places(X, PLACED, [3])
    assert placed[:, 3].unique(return_counts=True)[1].tolist() == [300, 300, 300, 301]
    assert torch.equal(placed[:, :3], X[:, :3])
    held = PLACED.clone()
    held[:, 3] = 2.0
    assert set(onto_places(torch.full((5, 4), 2.0, dtype=torch.float64), held, [3])[:, 3].tolist()) == {2.0}
    assert torch.equal(onto_places(X, PLACED, []), X)


def test_each_place_of_a_column_is_tried():
    bounds = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 1.0]], dtype=torch.float64)
    rows = with_each_place(torch.tensor([[0.3, 1.4, 0.9]], dtype=torch.float64), bounds, [1, 2])
    assert rows.tolist() == [[0.3, 0.0, 1.0], [0.3, 1.0, 0.0], [0.3, 1.0, 1.0], [0.3, 2.0, 1.0]]


def test_a_peak_that_only_one_place_has_is_found_and_polished_there():
    class Rugged(StubAcquisition):
        """The second place is best, although between places the function is highest at 2.5."""

        def __init__(self):
            super().__init__([0.6, 0.3, 0.1, 0.0])
            height = torch.tensor([0.0, 1.0, 0.6, 0.6], dtype=torch.float64)

            def value(X):
                x = X.squeeze(-2)
                place = x[..., 3]
                # Linear between places, and a bump between 2 and 3 that no place has.
                left = place.floor().clamp(0, 2).long()
                line = height[left] + (place - left) * (height[left + 1] - height[left])
                bump = 3.0 * (place > 2) * (place - 2) * (3 - place)
                return line + bump - 4 * (x[..., :3] - self._peak[:3]).pow(2).sum(dim=-1)

            self.acqf = value

    torch.manual_seed(0)
    candidates, values, _ = Rugged().optimize(1, Placed(), equality_constraints=EQUALITY)
    torch.testing.assert_close(
        candidates[0], torch.tensor([0.6, 0.3, 0.1, 1.0], dtype=torch.float64), atol=0.01, rtol=0
    )
    assert candidates[0, 3] == 1.0
    assert values.item() == pytest.approx(1.0, abs=1e-3)
