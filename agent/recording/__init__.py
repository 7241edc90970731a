"""Recording a task: a person works in a desktop, and deskbench writes the task."""
