"""What several kinds of test share: fakes of our ports, real servers, builders."""
