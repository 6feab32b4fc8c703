#!/usr/bin/env python3
"""Stands in for the program `reelhouse`: hands its words to the process that listens at RESIDENT, and ends as that says.

A Spark session takes longer to start than most jobs of a small day; the jobs in OWN_PROCESS are real processes all the same.
"""

import json
import os
import socket
import sys

if __name__ == "__main__":
    words = sys.argv[1:]
    if words[1] in os.environ["OWN_PROCESS"].split():
        os.execv(os.environ["PROGRAM"], [os.environ["PROGRAM"], *words])
    with socket.create_connection(("127.0.0.1", int(os.environ["RESIDENT"]))) as connection, connection.makefile("rw") as file:
        file.write(json.dumps(words) + "\n")
        file.flush()
        answer = json.loads(file.readline())
    print(answer["output"])
    sys.exit(answer["status"])
