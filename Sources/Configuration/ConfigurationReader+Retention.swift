import VitalModel
import YAMLText

extension ConfigurationReader {
  /// From an hour to a century.
  private static let kept: ClosedRange<Int64> = 3_600_000...3_155_760_000_000

  /// `retain`: how long each class of data is kept, and what differs by tenant.
  mutating func retention(_ store: YAMLMapping) {
    let keys = [
      "chunks", "rollups", "superseded", "journal", "journal_bytes", "ledger", "quarantine", "outbox_marks", "tenants",
    ]
    guard let retain = store.mapping("retain", keys: keys, &problems) else { return }
    func length(_ key: String) -> Int64? { retain.duration(key, in: ConfigurationReader.kept, &problems) }
    var kept = configuration.retain
    kept.chunks = length("chunks") ?? kept.chunks
    kept.rollups = length("rollups")
    kept.superseded = length("superseded")
    kept.journal = length("journal") ?? kept.journal
    kept.ledger = length("ledger") ?? kept.ledger
    kept.quarantine = length("quarantine")
    kept.outboxMarks = length("outbox_marks")
    if let bytes = retain.bytes("journal_bytes", in: 1_048_576...(1 << 50), &problems) {
      kept.journalBytes = UInt64(bytes)
    }
    for entry in retain.mapping("tenants", &problems)?.entries ?? [] {
      guard let name = YAMLMapping.text(entry.key, of: "tenants", &problems) else { continue }
      kept.tenants[name] = tenantRetention(entry.value, name)
    }
    configuration.retain = kept
  }

  private mutating func tenantRetention(_ node: YAMLNode, _ name: String) -> VigilConfiguration.Retention.Tenant {
    var tenant = VigilConfiguration.Retention.Tenant()
    let keys = ["chunks", "rollups", "superseded", "ledger"]
    guard let own = YAMLMapping(node, of: "tenant \(name)", keys: keys, &problems) else { return tenant }
    tenant.chunks = own.duration("chunks", in: ConfigurationReader.kept, &problems)
    tenant.rollups = own.duration("rollups", in: ConfigurationReader.kept, &problems)
    tenant.superseded = own.duration("superseded", in: ConfigurationReader.kept, &problems)
    tenant.ledger = own.duration("ledger", in: ConfigurationReader.kept, &problems)
    return tenant
  }
}

extension YAMLMapping {
  /// A number of bytes: plain, or with KiB, MiB, GiB or TiB.
  func bytes(_ key: String, in range: ClosedRange<Int>, _ problems: inout Problems) -> Int? {
    let expected =
      "a size such as 256MiB from \(ByteSize.format(range.lowerBound)) to \(ByteSize.format(range.upperBound))"
    return read(key, as: expected, &problems) { text in
      ByteSize.parse(text).flatMap { range.contains($0) ? $0 : nil }
    }
  }
}

/// Sizes as people write them.
package enum ByteSize {
  private static let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)]

  /// - Returns: nil if the text is no whole number of a known unit, or does not fit.
  package static func parse(_ text: String) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard let number = Int(digits) else { return nil }
    let unit = text.dropFirst(digits.count)
    guard let shift = unit.isEmpty ? 0 : units.first(where: { $0.0 == unit })?.1 else { return nil }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
    return overflow ? nil : bytes
  }

  /// In the largest unit that leaves a whole number, or one decimal.
  package static func format(_ bytes: Int) -> String {
    for (name, shift) in units where shift > 0 && bytes >= 1 << shift {
      if bytes % (1 << shift) == 0 { return "\(bytes >> shift)\(name)" }
      let tenths = Int((Double(bytes) / Double(1 << shift) * 10).rounded())
      return "\(tenths / 10).\(tenths % 10)\(name)"
    }
    return "\(bytes)B"
  }
}
