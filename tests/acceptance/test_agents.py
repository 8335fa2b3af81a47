"""`omnibridge agents …` in a process of its own: beside a running server through its socket, and without one."""

from __future__ import annotations

from tests.command_line import omnibridge
from tests.conftest import MakeWorld

FILE = """system,external_id,name,departments
crm,1,Ann,sales
crm,2,\x1b[31mBob,
"""


async def test_directory_goes_in_and_out_beside_a_server_and_without_one(make_world: MakeWorld) -> None:
    world = await make_world()
    file, out = world.folder / "agents.csv", world.folder / "out.csv"
    file.write_text(FILE, "utf-8")
    wrong = await omnibridge(world.folder, "agents", "import", str(file))
    file.write_text(FILE.replace("\x1b[31m", ""), "utf-8")
    dry = await omnibridge(world.folder, "agents", "import", str(file), "--dry-run", "--json")
    after_dry = world.rows("SELECT count(*) FROM agents")
    done = await omnibridge(world.folder, "agents", "import", str(file), "--json")
    linked = await omnibridge(world.folder, "agents", "link", "crm", "1", "alice")
    twice = await omnibridge(world.folder, "agents", "link", "crm", "2", "alice")
    shown = await omnibridge(world.folder, "agents", "list", "--mode", "mapped", "--json")
    await world.node.stop()
    without = await omnibridge(world.folder, "agents", "unlink", "crm", "1")
    exported = await omnibridge(world.folder, "agents", "export", str(out))
    audit = await omnibridge(world.folder, "agents", "list", "--audit")

    assert wrong.code == 1 and "row 3: name holds control characters" in wrong.err and "\x1b" not in wrong.err
    assert dry.json["added"] == 2 and not dry.json["written"] and after_dry == [(0,)]
    assert done.code == 0 and done.json["written"]
    assert linked.code == 0 and "crm:1 is alice" in linked.out
    assert twice.code == 1 and "crm:1 already" in twice.err
    assert [each["username"] for each in shown.json["agents"]] == ["alice"]
    assert without.code == 0, without.err
    assert exported.code == 0 and "crm,1,Ann,,,sales,,,,0" in out.read_text("utf-8")
    assert [each.split()[4] for each in audit.out.splitlines()] == ["unlink", "link", "import"]
