"""Tests: real parts and fakes that pass the same contract, no mocks."""
