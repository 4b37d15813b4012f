"""A snapshot that remembers what it has encoded must be the one that forgets."""

import json

from ax.api.client import Client

from bo_shaping import Study
from bo_shaping.storage.portable import portable_study
from bo_shaping.storage.snapshot import Known, snapshot


def test_what_is_remembered_is_what_would_be_encoded_anew(make_config, tmp_path):
    study = Study.launch(make_config(budget={"trials": 9}))
    ledger, known = study._ledger, Known()

    def both():
        parts = portable_study(study.folder, ledger.config)
        return json.loads(snapshot(ledger.experiment, parts, known)), json.loads(snapshot(ledger.experiment, parts))

    study.run(2)
    index, _ = study.ask()
    remembered, anew = both()
    assert remembered == anew
    before = remembered["experiment"]["trials"][str(index)]
    study.tell(index, mean=0.5, kl=1.0)
    remembered, anew = both()
    assert remembered == anew
    assert remembered["experiment"]["trials"][str(index)] != before
    file = tmp_path / "snapshot.json"
    file.write_text(json.dumps(remembered), encoding="utf-8")
    loaded = Client.load_from_json_file(str(file))
    assert sorted(loaded._experiment.trials) == [0, 1, 2]
    told = loaded._experiment.lookup_data().df.query("trial_index == 2 and metric_name == 'reward'")
    assert told["mean"].tolist() == [0.5]
    # What it has made does not touch the experiment it was made of.
    assert sorted(ledger.experiment.trials) == [0, 1, 2]
    assert len(ledger.experiment.lookup_data().df) >= 6
