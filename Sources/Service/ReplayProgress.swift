import Compression
import Digests
import Pipeline
import VitalModel

/// How far a replay got, so that it can go on from there: everything that reading the recording again does not give back.
package struct ReplayProgress: Sendable {
  /// One worker's share.
  struct Part: Sendable {
    struct State: Sendable {
      /// In the worker's own directory, which reading the same rows again numbers the same way.
      var patient: UInt32
      var position: UInt64
      var bytes: [UInt8]
    }

    var tally = ReplayTally()
    var states: [State] = []
  }

  /// What the replay was of: inputs, rules and options. Another one must not go on from here.
  package var identity: String
  /// Rows and alarms taken.
  package var entries: Int
  /// Bytes of the outputs at that point: alerts, and what was held.
  package var alertBytes: Int = 0
  package var heldBytes: Int = 0
  var parts: [Part]

  private static let magic = Array("VGRP".utf8)
  private static let version: UInt8 = 1
  private static let patientsMax = 100_000_000

  init(identity: String, entries: Int, parts: [Part]) {
    self.identity = identity
    self.entries = entries
    self.parts = parts
  }

  /// Threads that must evaluate when it goes on.
  package var threads: Int { parts.count }

  /// As a file holds it: magic, version, fields, and a digest over all of them.
  package var bytes: [UInt8] {
    var out = ByteWriter(capacity: 1 << 16)
    out.append(raw: ReplayProgress.magic)
    out.append(ReplayProgress.version)
    out.append(counted: identity)
    for number in [entries, alertBytes, heldBytes, parts.count] { out.append(varint: UInt64(number)) }
    for part in parts {
      part.tally.write(to: &out)
      out.append(varint: UInt64(part.states.count))
      for state in part.states {
        out.append(varint: UInt64(state.patient))
        out.append(varint: state.position)
        out.append(counted: state.bytes)
      }
    }
    return out.bytes + sha256(out.bytes)
  }

  /// - Returns: nil where the bytes are damaged, cut off or of another version: the replay then begins anew.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count > 37, Array(bytes.prefix(4)) == ReplayProgress.magic, bytes[4] == ReplayProgress.version,
      sha256(Array(bytes.dropLast(32))) == Array(bytes.suffix(32))
    else { return nil }
    let read = bytes[5..<bytes.count - 32].withUnsafeBytes { raw -> ReplayProgress? in
      var reader = ByteReader(raw)
      return try? ReplayProgress(&reader)
    }
    guard let read else { return nil }
    self = read
  }

  private init(_ reader: inout ByteReader) throws(ByteError) {
    identity = try reader.countedString()
    entries = try reader.count(limit: .max)
    alertBytes = try reader.count(limit: .max)
    heldBytes = try reader.count(limit: .max)
    parts = []
    for _ in 0..<(try reader.count(limit: RowFanThreads.limit)) {
      var part = Part(tally: try ReplayTally(&reader))
      for _ in 0..<(try reader.count(limit: ReplayProgress.patientsMax)) {
        let patient = UInt32(try reader.count(limit: Int(UInt32.max)))
        let position = try reader.varint()
        part.states.append(Part.State(patient: patient, position: position, bytes: Array(try reader.counted())))
      }
      parts.append(part)
    }
  }
}

extension ReplayTally {
  func write(to out: inout ByteWriter) {
    for number in [alerts, suppressed, notifications, alertsByRule.count] { out.append(varint: UInt64(number)) }
    for (rule, count) in alertsByRule.sorted(by: { $0.key < $1.key }) {
      out.append(counted: rule)
      out.append(varint: UInt64(count))
    }
    for stage in SuppressionStage.allCases {
      let held = suppressedByStage[stage] ?? [:]
      out.append(varint: UInt64(held.count))
      for (rule, count) in held.sorted(by: { $0.key < $1.key }) {
        out.append(counted: rule)
        out.append(varint: UInt64(count))
      }
    }
  }

  init(_ reader: inout ByteReader) throws(ByteError) {
    self.init()
    alerts = try reader.count(limit: .max)
    suppressed = try reader.count(limit: .max)
    notifications = try reader.count(limit: .max)
    alertsByRule = try ReplayTally.counts(&reader)
    for stage in SuppressionStage.allCases {
      let held = try ReplayTally.counts(&reader)
      if !held.isEmpty { suppressedByStage[stage] = held }
    }
  }

  private static func counts(_ reader: inout ByteReader) throws(ByteError) -> [String: Int] {
    var counts: [String: Int] = [:]
    for _ in 0..<(try reader.count(limit: 100_000)) {
      let rule = try reader.countedString()
      counts[rule] = try reader.count(limit: .max)
    }
    return counts
  }
}
