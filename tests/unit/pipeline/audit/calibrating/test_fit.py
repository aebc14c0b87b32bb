import numpy as np
import pytest

from pipeline.audit.calibrating.calibrate import held_out_report
from pipeline.audit.calibrating.figures import auroc, expected_calibration_error, reliability
from pipeline.audit.calibrating.fit import TermPlan, cross_validate, fit_calibration, predict
from pipeline.errors import ConfigError, DataError

PLAN = TermPlan(measures={"ncc_mean": "one-minus"}, num_knots=0, penalty=0.0)


def test_a_known_model_is_found_again(draw):
    model = fit_calibration(draw(0, name="a", per_clip=4000), PLAN, version="v")
    (term,) = model.terms
    assert (term.mean, term.sd) == (pytest.approx(0.3, abs=0.01), pytest.approx(0.1, abs=0.005))
    assert (term.beta, model.intercept) == (pytest.approx(1.5, abs=0.08), pytest.approx(-1, abs=0.08))


def test_its_probabilities_hold_on_other_tracks(draw):
    model, other = fit_calibration(draw(0, name="a"), PLAN, version="v"), draw(1, name="b")
    probability = predict(model, other)
    assert expected_calibration_error(reliability(probability, other.bad, num_bins=10)) < 0.03
    assert auroc(probability, other.bad) == pytest.approx(auroc(-other.measures["ncc_mean"], other.bad))


def test_bends_follow_what_no_line_can(draw):
    plan = {"jump": "identity"}  # 1 + z^2: bad in neither direction alone
    samples = draw(0, name="a", slope=0.0)
    samples.max_error_px[:] = np.where(np.nan_to_num(samples.measures["jump"], nan=0.0) > 3, 9.0, 1.0)
    straight, bent = (
        predict(fit_calibration(samples, TermPlan(measures=plan, num_knots=knots, penalty=0.1), version="v"), samples) for knots in (0, 5)
    )
    losses = [np.mean((probability - samples.bad) ** 2) for probability in (straight, bent)]
    assert losses[1] < 0.9 * losses[0]


def test_the_unknown_have_odds_of_their_own(draw):
    samples = draw(0, name="a", slope=0.0)
    unknown = np.isnan(samples.measures["jump"])
    samples.max_error_px[:] = np.where(unknown == (np.arange(len(unknown)) % 10 > 0), 9.0, 1.0)  # nine in ten of the unknown are bad
    model = fit_calibration(samples, TermPlan(measures={"jump": "log"}, num_knots=2, penalty=0.01), version="v")
    probability = predict(model, samples)
    assert probability[unknown].mean() == pytest.approx(0.9, abs=0.02)
    assert probability[~unknown].mean() == pytest.approx(0.1, abs=0.02)


def test_a_penalty_holds_back(draw):
    slopes = [fit_calibration(draw(0, name="a"), TermPlan(measures=PLAN.measures, num_knots=0, penalty=p), version="v") for p in (0, 1e4)]
    assert abs(slopes[1].terms[0].beta) < 0.2 * abs(slopes[0].terms[0].beta)


def test_constant_and_unknown_measures_are_left_out(draw):
    measures = {"len": "log", "fb_cycle": "log", "neigh_max": "log"}
    model = fit_calibration(draw(0, name="a"), TermPlan(measures=measures), version="v")
    assert [term.measure for term in model.terms] == ["neigh_max"]
    with pytest.raises(DataError, match="none of the measures fb_cycle, len"):
        fit_calibration(draw(0, name="a"), TermPlan(measures={"fb_cycle": "log", "len": "log"}), version="v")


def test_the_report_of_the_held_out_half(draw):
    model, other = fit_calibration(draw(0, name="a"), PLAN, version="v"), draw(1, name="b")
    report = held_out_report(model, other)
    assert report.suite.datasets == ("b",)
    assert report.suite.bad_share == pytest.approx(other.bad.mean())
    by_name = {each.measure: each for each in report.measures}
    assert by_name["ncc_mean"].auroc_mean == pytest.approx(report.auroc_mean)  # turned round: small is bad
    assert by_name["ncc_mean"].auroc_min <= by_name["ncc_mean"].auroc_mean
    assert by_name["jump"].coverage == pytest.approx(0.5, abs=0.03)
    assert by_name["fb_cycle"].coverage == 0
    assert np.isnan(by_name["fb_cycle"].auroc_mean)
    assert [each.threshold for each in report.gates] == [0.1, 0.2, 0.3, 0.5]
    assert sum(each.num_tracks for each in report.reliability) == len(other.clip)
    assert report.domains[0].auroc == pytest.approx(report.auroc)


def test_no_fold_sees_its_own_clips(draw):
    samples = draw(0, name="a", num_clips=4)
    guessed = cross_validate(samples, PLAN, num_folds=2)
    own = fit_calibration(samples.chosen(samples.clip % 2 == 1), PLAN, version="v")
    even = samples.clip % 2 == 0
    np.testing.assert_allclose(guessed[even], predict(own, samples.chosen(even)))
    with pytest.raises(ConfigError, match="1 clips cannot be split"):
        cross_validate(samples.chosen(samples.clip == 0), PLAN)
