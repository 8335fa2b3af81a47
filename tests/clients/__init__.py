"""Clients of Rocket.Chat that are not ours, each in a process of its own, against the simulated hub.

package.json overrides two things that npm cannot fetch: `asteroid`, which the SDK takes from a git repository (the
released 0.6.1 has the same interface), and `typia`, which a package of Rocket.Chat's names by a patch of its own.
"""
