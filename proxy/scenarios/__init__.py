"""Tests of policies, written as YAML: what comes in virtual time, and what the policy is to make of it."""
