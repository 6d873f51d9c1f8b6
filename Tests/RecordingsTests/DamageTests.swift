import Testing
import VitalModel

@testable import Recordings

/// Whatever is done to a recording, reading ends, and the books balance.
@Suite struct DamageTests {
  static let documents = [
    "patient_id,time_s,hr,spo2,consciousness,x\np1,0,72,97,A,1\n\"p,2\",1.5,7x,,V,\np3,-1,,,,\n",
    #"""
    patient,device,time,code,value,unit,source,status,quality,seq,tenant,ingest_time,flags
    p,d,2026-01-01T00:00:00Z,spo2,91,%,pleth,artifact,0.31,12,icu,2026-01-01T00:00:02Z,corrected simulated
    "p ""x""",d,2026-01-01T00:00:00Z,temp,98.6,[degF],,,,,,,
    """#,
    #"{"patient":"p\u00fc\"","device":"d","time":1767225601000,"observations":[{"code":"hr","value":72.5}]}"# + "\n"
      + #"{"device":"d","channel":"event","time":1767225601000,"event":"asystole"}"#,
  ]

  func check(_ bytes: [UInt8]) {
    var refused = 0
    var unknown = 0
    var source = BlockSource("", block: 11)
    source.bytes = bytes
    let reader = RecordingReader([RecordingFile(name: "t", source: source)], registry: registry) {
      refused += $0.cells
      if $0.reason == .unknownCode { unknown += $0.cells }
    }
    var cells = 0
    do {
      try reader.forEach {
        cells += $0.cells.count
        return true
      }
    } catch {
      return
    }
    #expect(reader.counts.cells == cells)
    #expect(reader.counts.samples == cells + refused - unknown)
  }

  @Test(arguments: documents) func everyPrefix(_ document: String) {
    let bytes = Array(document.utf8)
    for count in 0...bytes.count { check(Array(bytes[..<count])) }
  }

  @Test(arguments: documents) func changedBytes(_ document: String) {
    var state: UInt64 = 5
    func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
    let original = Array(document.utf8)
    let telling = Array("\",\n\r{}[]:\\-.0eE \u{0}".utf8) + [0xFF, 0xC3]
    for _ in 0..<1500 {
      var bytes = original
      for _ in 0..<(1 + next(3)) { bytes[next(bytes.count)] = telling[next(telling.count)] }
      check(bytes)
    }
  }
}
