import Foundation
import KeyValueStore
import Pipeline
import Testing
import VitalModel

@testable import AlertJournal

/// What encryption costs, printed: `VIGIL_SEALING_COST=1 VIGIL_ONLY_ROOM=AlertJournal swift test -c release -Xswiftc
/// -enable-testing --filter SealingCost`. Without the variable a thousandth of it runs, and only the sizes are looked at.
@Suite struct SealingCostTests {
  private static let isMeasured = ProcessInfo.processInfo.environment["VIGIL_SEALING_COST"] != nil

  private static var cpuSeconds: Double {
    var now = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
  }

  /// A chunk of 600 rows of 4 vitals takes about 730 bytes on jittered vitals.
  @Test func chunks() throws {
    let ward = try SealedWard(fill: false)
    let vault = try #require(ward.store.vault)
    let (rows, samples) = (Self.isMeasured ? 200_000 : 200, 2400)
    var random = SplitMix64(state: 11)
    let value = random.bytes(732)
    var kept = 0
    let start = Self.cpuSeconds
    for row in 0..<rows {
      let key = bigEndian(UInt32(row % 1000)) + bigEndian(0) + [UInt8](repeating: UInt8(row % 251), count: 16)
      let sealed = try value.withUnsafeBytes { value in
        try key.withUnsafeBytes { try vault.seal(value, family: "chunks", key: $0) }
      }
      kept += sealed.count
      if row % 4 == 0 {
        let opened = try sealed.withUnsafeBytes { sealed in
          try key.withUnsafeBytes { try vault.open(sealed, family: "chunks", key: $0) }
        }
        #expect(opened.count == value.count)
      }
    }
    let more = Double(kept - rows * value.count) / Double(rows * samples)
    #expect(more < 0.015)
    if Self.isMeasured {
      let each = (Self.cpuSeconds - start) / (1.25 * Double(rows))
      print("sealing: \(each * 1e9) ns CPU a chunk sealed or opened, \(each / Double(samples) * 1e9) ns a sample")
      print("sealing: \(more) bytes a sample more")
    }
  }

  private func documents(_ count: Int) -> [Transition] {
    var random = SplitMix64(state: 7)
    let rules = ["spo2-low", "rr-high", "hr-high", "map-low", "fever-trend", "hr-low"]
    func hexadecimal(_ digits: Int) -> String {
      (0..<digits).map { _ in String(random.next() % 16, radix: 16) }.joined()
    }
    let versions = rules.map { _ in "sha256:" + hexadecimal(64) }
    return (0..<count).map { index in
      let rule = Int(random.next() % 6)
      let value = Int(random.next() % 100)
      let samples = (0..<32).map { _ in
        "{\"time\":\"2026-11-21T0\(random.next() % 10):\(10 + random.next() % 50):00.\(100 + random.next() % 900)Z\","
          + "\"code\":\"spo2\",\"value\":\(70 + random.next() % 30),\"unit\":\"%\",\"source\":\"mon-\(value)/pleth\"}"
      }
      var made = transition(
        "a-" + hexadecimal(32), patient: UInt32(index % 50), detected: 1_795_000_000_000 + Int64(index) * 997,
        evidence: "{\"rule\":\"\(rules[rule])\",\"samples\":[\(samples.joined(separator: ","))]}")
      made.document.tenant = "north-wing"
      made.document.patient = "mrn-\(100_000 + index % 50)"
      made.document.device = "mon-\(value)"
      made.document.ruleID = rules[rule]
      made.document.ruleVersion = versions[rule]
      made.document.ruleTitle = "Title of \(rules[rule])"
      made.document.code = "spo2"
      made.document.message = "SpO2 \(value) % for 5 s (limit 80), falling"
      made.document.locationUnit = "ward-7"
      made.document.sources = ["mon-\(value)/pleth"]
      return made
    }
  }

  @Test func alerts() throws {
    let transitions = documents(Self.isMeasured ? 20_000 : 200)
    var sizes: [UInt64] = []
    for isSealed in [false, true] {
      let ward = try SealedWard(isSealed: isSealed, fill: false)
      let start = Self.cpuSeconds
      for chunk in stride(from: 0, to: transitions.count, by: 10) {
        var effects = Effects()
        effects.output.transitions = Array(transitions[chunk..<min(chunk + 10, transitions.count)])
        _ = try EffectsWriter(store: ward.store, shard: 0).write(effects)
      }
      let cpu = Self.cpuSeconds - start
      try ward.store.store.flush()
      try ward.store.store.compactRange(ward.store.families.alerts, rewriteAll: true)
      sizes.append(try ward.store.store.liveFileBytes(ward.store.families.alerts))
      if Self.isMeasured {
        print(
          "alerts \(isSealed ? "sealed" : "plain"): \(sizes[sizes.count - 1] / UInt64(transitions.count)) bytes and "
            + "\(cpu / Double(transitions.count) * 1e6) us CPU a transition")
      }
    }
    // Each document for itself instead of many together: more, and bounded.
    #expect(sizes[1] < 4 * sizes[0])
    let packer = VaultPacker()
    let plain = transitions.prefix(100).map { Array($0.document.json.utf8) }
    let withText = plain.map { value in value.withUnsafeBytes { packer.pack($0, family: "alerts")?.bytes.count ?? 0 } }
    let without = plain.map { value in value.withUnsafeBytes { packer.pack($0, family: "audit")?.bytes.count ?? 0 } }
    let (withTextTotal, withoutTotal) = (withText.reduce(0, +), without.reduce(0, +))
    #expect(3 * withTextTotal < 2 * withoutTotal)
    if Self.isMeasured {
      print("document: \(plain[0].count) bytes, \(without[0]) packed, \(withText[0]) packed with the dictionary")
    }
  }
}
