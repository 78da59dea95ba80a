"""A report as JUnit XML, for the machines that collect test results."""

from xml.etree import ElementTree as ET

from host_bridge.conformance.report import Report
from protocols.events.clock import rfc3339


def as_junit(report: Report) -> bytes:
    """One suite for each group, one test case for each case."""
    suites = ET.Element("testsuites", name=f"ssc {report.suite.name} conformance", time=f"{report.seconds:.3f}")
    for group in report.suite.groups:
        results = report.of(group)
        if not results:
            continue
        suite = ET.SubElement(suites, "testsuite", name=group, timestamp=rfc3339(report.began))
        properties = ET.SubElement(suite, "properties")
        for name, value in (("reader", report.reader), *((fact.key, fact.value) for fact in report.facts)):
            ET.SubElement(properties, "property", name=name, value=value)
        suite.set("tests", str(len(results)))
        suite.set("failures", str(sum(result.outcome == "failed" for result in results)))
        suite.set("skipped", str(sum(result.outcome == "skipped" for result in results)))
        for result in results:
            name = f"{result.case.id} {result.case.en}"
            case = ET.SubElement(suite, "testcase", classname=group, name=name, time=f"{result.seconds:.3f}")
            if result.finding is not None:
                step, expected, answered = result.finding
                failure = ET.SubElement(case, "failure", message=f"{answered} instead of {expected}")
                failure.text = f"{step}\n{report.suite.sheet} {result.case.fact}"
            if result.reason is not None:
                ET.SubElement(case, "skipped", message=result.reason.en)
            if result.measured:
                ET.SubElement(case, "system-out").text = result.measured
    text: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text
