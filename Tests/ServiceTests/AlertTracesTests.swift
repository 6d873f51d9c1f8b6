import Recordings
import TestSupport
import Testing
import VitalModel

@testable import Service

/// Vitals around alerts, drawn from a recording in any order.
@Suite struct AlertTracesTests {
  private static let registry: VitalRegistry = VitalRegistry([
    VitalDefinition(
      key: "hr", title: "Heart rate", unit: "/min", units: [UnitConversion(unit: "/min")], aliases: [:],
      rejectBelow: DecimalValue(mantissa: 0), rejectAbove: DecimalValue(mantissa: 350), resolutionExponent: 0,
      staleness: 60_000)
  ])

  private func trace(_ rows: [String], status: Bool = false) throws -> VitalTrace? {
    let folder = try TemporaryDirectory("alert-traces")
    let path = try folder.write(
      "patient,device,time_s,code,value\(status ? ",status" : "")\n" + rows.joined(separator: "\n") + "\n",
      to: "in.csv")
    var options = RecordingOptions()
    options.epoch = 0
    let reader = RecordingReader([RecordingFile(path: path)], registry: Self.registry, options: options) { _ in }
    let alert = AlertSpan(
      tenant: "demo", patient: "a", rule: "r", version: "v", priority: .medium, message: "", onset: 7_200_000,
      end: 7_260_000, code: "hr")
    let traces = AlertTraces(of: [alert], registry: Self.registry)
    try reader.forEach { row in
      traces.note(row, names: reader.names)
      return true
    }
    return traces.traces(of: 0).first
  }

  /// A sample a minute over four hours.
  private let rows = (0..<240).map { "a,a,\($0 * 60),hr,\(60 + $0 % 50)" }

  @Test func theOrderOfRowsDoesNotMatter() throws {
    let plain = try #require(try trace(rows))
    #expect(plain.times == plain.times.sorted() && plain.times.count > 12)
    #expect(plain.times.contains(7_200_000) && !plain.times.contains(0))
    for other in [Array(rows.reversed()), rows.indices.map { rows[$0 * 7 % rows.count] }] {
      let turned = try #require(try trace(other))
      #expect(turned.times == plain.times && turned.values == plain.values)
      #expect(turned.lines(onset: 7_200_000, end: 7_260_000) == plain.lines(onset: 7_200_000, end: 7_260_000))
    }
  }

  @Test func sparseVitalsReachBackAndForth() throws {
    let hourly = (0..<48).map { "a,a,\($0 * 3600),hr,\($0)" }
    let trace = try #require(try trace(hourly.reversed()))
    // The two hours before the onset at 2 h, the onset, and eleven hours more.
    #expect(trace.values == (0..<14).map(Double.init))
  }

  @Test func whatIsNotBelievedIsNotDrawn() throws {
    let trace = try trace(
      ["a,a,7190,hr,70,ok", "a,a,7195,hr,20,lead-off", "a,a,7200,hr,900,", "a,a,7205,hr,71,low-battery"], status: true)
    #expect(trace?.values == [70, 71])
  }

  @Test func aDrawingTakesTimesInAnyOrder() {
    let trace = VitalTrace(vital: Self.registry[VitalCode(index: 0)], times: [60_000, 0, 30_000], values: [1, 2, 3])
    #expect(trace.lines(onset: 0, end: 60_000, width: 10).count == 3)
  }
}
