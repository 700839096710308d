from medgen_pipeline.reference.vehicles import vehicles


def test_a_load_fits_its_vehicle() -> None:
    """What waits for more than one goes in the end, whoever has come."""
    for vehicle in vehicles().values():
        assert 1 <= vehicle.smallest_load <= vehicle.places
        assert (vehicle.longest_wait_hours > 0) == (vehicle.smallest_load > 1)
