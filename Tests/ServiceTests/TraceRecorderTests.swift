import Recordings
import ReportPages
import Service
import Statistics
import TestSupport
import Testing
import VitalModel

/// Stretches for drawings, taken from a recording.
@Suite struct TraceRecorderTests {
  private static let registry: VitalRegistry = {
    func vital(_ key: String, _ unit: String, below: Int64, above: Int64) -> VitalDefinition {
      VitalDefinition(
        key: key, title: "Title of \(key)", unit: unit, units: [UnitConversion(unit: unit)], aliases: [key: unit],
        rejectBelow: DecimalValue(mantissa: below), rejectAbove: DecimalValue(mantissa: above), resolutionExponent: 0,
        staleness: 60_000)
    }
    return VitalRegistry([vital("hr", "/min", below: 0, above: 350), vital("spo2", "%", below: 1, above: 100)])
  }()

  private func pick(_ patient: Int, _ range: ClosedRange<Int64>) -> TracePick {
    TracePick(
      patient: patient, reason: .missed(quiet: 0), anchor: range.upperBound, range: range, onsets: [], alerts: [])
  }

  /// Rows of a recording whose times count from 1970.
  private func traces(
    _ text: String, _ picks: [TracePick], names: [String] = ["a", "b"],
    options: ReplaySession.Options = ReplaySession.Options()
  ) throws -> [PatientTrace] {
    let folder = try TemporaryDirectory("traces")
    let path = try folder.write(text, to: "in.csv")
    var recording = RecordingOptions()
    recording.epoch = 0
    let reader = RecordingReader([RecordingFile(path: path)], registry: Self.registry, options: recording) { _ in }
    let recorder = TraceRecorder(picks, registry: Self.registry, names: names, options: options)
    try reader.forEach { row in
      recorder.note(row, names: reader.names)
      return true
    }
    return recorder.traces
  }

  @Test func aStretchHoldsItsPatientsSamplesAndNobodyElses() throws {
    let text = "patient_id,time_s,hr,spo2\nb,10,80,97\na,10,60,\na,20,61,95\na,40,62,94\nb,20,81,300\n"
    let traces = try traces(text, [pick(1, 5000...25_000), pick(0, 15_000...30_000)])
    #expect(
      traces.map { $0.vitals.map(\.title) } == [["Title of hr", "Title of spo2"], ["Title of hr", "Title of spo2"]])
    // 300 % is no saturation: the engine refuses it too.
    #expect(traces[0].vitals[0].samples == [.init(time: 10_000, value: 80), .init(time: 20_000, value: 81)])
    #expect(traces[0].vitals[1].samples == [.init(time: 10_000, value: 97)])
    #expect(traces[1].vitals[0].samples == [.init(time: 20_000, value: 61)])
    #expect(traces[1].vitals[0].unit == "/min")
  }

  @Test func denseSamplesKeepTheirExtremes() throws {
    var text = "patient_id,time_s,hr\n"
    for second in 0..<7200 { text += "a,\(second),\(second == 3000 ? 190 : second == 5000 ? 30 : 70)\n" }
    let samples = try #require(try traces(text, [pick(0, 0...7_199_000)]).first?.vitals.first?.samples)
    #expect(samples.count < 500)
    #expect(samples.contains(.init(time: 3_000_000, value: 190)) && samples.contains(.init(time: 5_000_000, value: 30)))
    #expect(samples.map(\.time) == samples.map(\.time).sorted())
  }

  @Test func theBoundsOfTheReplayHold() throws {
    var options = ReplaySession.Options()
    (options.from, options.to) = (10_000, 20_000)
    let traces = try traces(
      "patient_id,time_s,hr\na,5,1\na,10,2\na,20,3\n", [pick(0, 0...60_000), pick(1, 0...9)], options: options)
    #expect(traces[0].vitals.first?.samples == [.init(time: 10_000, value: 2)])
    #expect(traces[1].vitals.isEmpty)
  }
}
