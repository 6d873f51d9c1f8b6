import AlertJournal
import ChunkCoding
import Configuration
import Foundation
import HTTPAPI
import KeyValueStore
import Pipeline
import SeriesStore
import TabularFormats
import TestSupport
import Testing
import VitalModel

@testable import Service

/// `/v1/patients` and `/v1/observations` of a running ward.
@Suite struct ObservationPagesTests {
  /// One patient with two devices, ten messages each a second apart; the fifth `hr` of `d-1` is corrected later.
  private func ward() throws -> (Ward, Int64) {
    let ward = try Ward()
    ward.options.identity = "roster"
    ward.options.roster = """
      patients: [{ id: p-1, age: 60, unit: ward-7, bed: 12 }, { id: p-2, age: 70 }]
      devices: [{ id: d-1 }, { id: d-2 }, { id: d-3 }]
      assignments: [{ device: d-1, patient: p-1 }, { device: d-2, patient: p-1 }, { device: d-3, patient: p-2 }]
      """
    try ward.start()
    let start = ward.now / 1000 * 1000 - 20_000
    for index in 0..<10 {
      let time = start + Int64(index) * 1000
      try ward.send(
        "d-1",
        "{\"seq\":\(index + 1),\"time\":\(time),\"observations\":[{\"code\":\"hr\",\"value\":\(70 + index)},"
          + "{\"code\":\"spo2\",\"value\":97.50,\"quality\":0.9,\"source\":\"pleth\"}]}")
      try ward.send("d-2", "resp", "\(12 + index)", at: time)
    }
    try ward.send("d-3", "hr", "60", at: start)
    try ward.flush()
    _ = try ward.settle(31)
    try ward.send("d-1", "{\"seq\":99,\"time\":\(start + 4000),\"code\":\"hr\",\"value\":174,\"corrected\":true}")
    try ward.flush()
    _ = try ward.settle(32)
    // The sealer takes in what is durable a moment later.
    #expect(eventually { (try? page(ward, "patient=p-1&superseded=true"))?.samples.count == 31 })
    return (ward, start)
  }

  private struct Page {
    var samples: [[String: Any]]
    var next: String?
    func column(_ name: String) -> [String] { samples.map { "\($0[name] ?? "")" } }
  }

  private func page(_ ward: Ward, _ query: String) throws -> Page {
    let answer = try ward.ask("GET", "/v1/observations?\(query)")
    #expect(answer.httpStatus == 200, "\(answer)")
    let body = commandJSON(answer.httpBody)
    return Page(samples: body["observations"] as? [[String: Any]] ?? [], next: body["next"] as? String)
  }

  @Test func pagesOfAnySizeHoldEverySampleOnceInOrder() throws {
    let (ward, start) = try ward()
    let whole = try page(ward, "patient=p-1")
    #expect(whole.next == nil && whole.samples.count == 30)
    let first = try #require(whole.samples.first)
    #expect(first["device"] as? String == "d-1" && first["value"] as? Int == 70)
    #expect(whole.column("device").prefix(6) == ["d-1", "d-1", "d-2", "d-1", "d-1", "d-2"])
    let times = whole.column("time")
    #expect(times == times.sorted() && times.first == Timestamp.format(start))
    for limit in [1, 2, 3, 4, 7, 29, 30] {
      var gathered: [String] = []
      var cursor: String?
      repeat {
        let part = try page(ward, "patient=p-1&limit=\(limit)" + (cursor.map { "&cursor=\($0)" } ?? ""))
        // A page ends between rows: at most the two samples of one message are more than asked for.
        #expect(part.samples.count <= max(limit, 2) && !part.samples.isEmpty)
        gathered += zip(part.column("time"), part.column("code")).map { "\($0) \($1)" }
        cursor = part.next
      } while cursor != nil
      #expect(gathered == zip(times, whole.column("code")).map { "\($0) \($1)" }, "limit \(limit)")
    }
  }

  @Test func rangesCodesAndCorrectionsAreChosen() throws {
    let (ward, start) = try ward()
    let hr = try page(ward, "patient=p-1&code=8867-4")
    #expect(hr.column("value") == ["70", "71", "72", "73", "174", "75", "76", "77", "78", "79"])
    #expect(hr.samples[4]["flags"] as? [String] == ["corrected"])
    let both = try page(ward, "patient=p-1&code=hr&superseded=true")
    #expect(both.column("superseded") == (0..<11).map { $0 == 4 ? "1" : "0" })
    #expect(both.samples[4]["value"] as? Int == 74)
    let from = Timestamp.format(start + 3000)
    let to = Timestamp.format(start + 5000)
    #expect(try page(ward, "patient=p-1&code=resp&from=\(from)&to=\(to)").column("value") == ["15", "16"])
    #expect(try page(ward, "patient=p-2&tenant=demo&code=hr,spo2").column("value") == ["60"])
    // The number as received, not as a double prints it.
    let answer = try ward.ask("GET", "/v1/observations?patient=p-1&code=spo2&limit=1")
    #expect(
      answer.httpBody.contains("\"value\":97.50,\"unit\":\"%\",\"source\":\"pleth\",\"status\":\"ok\",\"quality\":0.9,")
    )
  }

  @Test func theFormatIsChosenByNameOrAccept() throws {
    let (ward, _) = try ward()
    func type(_ query: String, _ accept: String? = nil) throws -> String {
      let answer = try ward.ask("GET", "/v1/observations?patient=p-2\(query)", accept.map { ["Accept: \($0)"] } ?? [])
      guard answer.httpStatus == 200 else { return "\(answer.httpStatus ?? 0)" }
      let line = answer.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-type:") } ?? ""
      return String(line.dropFirst(14).prefix { $0 != ";" })
    }
    let arrow = "application/vnd.apache.arrow.stream"
    #expect(try type("") == "application/json")
    #expect(try type("", "text/html, */*;q=0.1") == "application/json")
    #expect(try type("", "text/csv;q=0.5, \(arrow)") == arrow)
    #expect(try type("", "text/*") == "text/csv")
    #expect(try type("&format=arrow", "application/json") == arrow)
    #expect(try type("", "image/png") == "406")
    #expect(try type("", "text/csv;q=0") == "406")
    #expect(try type("&format=xml") == "406")
    let csv = try ward.ask("GET", "/v1/observations?patient=p-2&format=csv").httpBody
    #expect(
      csv.hasPrefix("patient,device,time,code,value,unit,source,status,quality,seq,tenant,ingest_time,flags\np-2,d-3,"))
  }

  @Test func wrongQuestionsAreProblemDocuments() throws {
    let (ward, _) = try ward()
    for (path, status) in [
      ("/v1/observations", 422), ("/v1/observations?patient=nobody", 404),
      ("/v1/observations?patient=p-2&code=zz", 422),
      ("/v1/observations?patient=p-2&limit=0", 422), ("/v1/observations?patient=p-2&limit=100001", 422),
      ("/v1/observations?patient=p-2&from=1", 422), ("/v1/observations?patient=p-2&cursor=1.2", 422),
      ("/v1/observations?patient=p-2&cursor=2.1.1", 422), ("/v1/observations?patient=p-2&frm=1", 422),
      ("/v1/observations?patient=p-2&superseded=1", 422), ("/v1/observations?patient=p-2&tenant=other", 404),
      ("/v1/patients?limit=x", 422), ("/v1/patients?cursor=-1", 422), ("/v1/patients?patient=p-2", 422),
    ] {
      let answer = try ward.ask("GET", path)
      #expect(answer.httpStatus == status, "\(path): \(answer)")
      #expect(answer.contains("application/problem+json"), "\(path)")
      #expect(!answer.contains("\"detail\":\"\""), "\(path)")
    }
    #expect(try ward.ask("GET", "/v1/observations?patient=p-2", ["Host: evil.example"]).httpStatus == 400)
  }

  @Test func patientsComeInPagesWithTheirPlace() throws {
    let (ward, _) = try ward()
    let first = try ward.ask("GET", "/v1/patients?limit=1&tenant=demo")
    #expect(
      first.httpBody
        == "{\"patients\":[{\"tenant\":\"demo\",\"patient\":\"p-1\",\"unit\":\"ward-7\",\"bed\":\"12\"}],\"next\":\"1\"}"
    )
    let link = try #require(first.split(separator: "\r\n").first { $0.lowercased().hasPrefix("link:") })
    let target = String(try #require(link.split(separator: "<").last?.split(separator: ">").first))
    #expect(target == "/v1/patients?limit=1&tenant=demo&cursor=1")
    let second = try ward.ask("GET", target)
    #expect(second.httpBody.contains("\"patient\":\"p-2\"") && second.httpBody.hasSuffix("\"next\":null}"))
    #expect(try ward.ask("GET", "/v1/patients?cursor=4000000000").httpBody == "{\"patients\":[],\"next\":null}")
  }

  @Test func everyAccessIsInTheAuditChainAndNoPatientIsNamedThere() throws {
    let (ward, start) = try ward()
    func rows() throws -> [AuditEntry] {
      var found: [AuditEntry] = []
      try ward.running.store.audit.read { row in
        found.append(row.entry)
        return true
      }
      return found
    }
    let before = try rows().count
    let purpose = "quality round " + String(repeating: "x", count: 300)
    _ = try ward.ask("GET", "/v1/patients")
    _ = try ward.ask(
      "GET", "/v1/observations?patient=p-1&code=hr&limit=2&to=\(Timestamp.format(start + 60_000))",
      ["X-Purpose: \(purpose)"])
    // What was refused or unknown gave nothing away.
    _ = try ward.ask("GET", "/v1/observations?patient=nobody")
    let entries = try Array(rows().dropFirst(before))
    #expect(entries.map(\.action) == ["patients.read", "observations.read"])
    let entry = try #require(entries.last)
    #expect(entry.actor == "this machine" && entry.subject == "patient 0")
    #expect(
      entry.detail == "format=json samples=2 codes=hr to=\(Timestamp.format(start + 60_000)) peer=127.0.0.1")
    #expect(entry.reason == String(purpose.prefix(200)))
    #expect(abs(entry.time - ward.now) < 60_000)
    #expect(try ward.running.store.audit.verify().brokenAt == nil)
  }

  @Test func withATokenOnlyItsBearerReads() throws {
    let ward = try Ward()
    let token = try ward.folder.write("0123456789abcdef0123456789abcdef\n", to: "token")
    ward.options.lines = ["api: { token: \"file:\(token)\" }"]
    try ward.start()
    for path in ["/v1/patients", "/v1/observations?patient=p-1"] {
      #expect(try ward.ask("GET", path).httpStatus == 401)
    }
    let answer = try ward.ask("GET", "/v1/patients", ["Authorization: Bearer 0123456789abcdef0123456789abcdef"])
    #expect(answer.httpStatus == 200)
  }
}

/// What ends a page, without a service.
@Suite struct ObservationPageTests {
  @Test func aPageEndsAtTheRowsItMayLookAtAndTheNextGoesOn() throws {
    let folder = try TemporaryDirectory("pages")
    let store = try VigilStore.open(path: folder.file("store"))
    defer { store.close() }
    let sealer = try Sealer(store: store.store)
    for index in 0..<40 {
      var slot = Slot()
      slot.kind = .sample
      (slot.patient, slot.device, slot.code) = (0, UInt32(index % 2), VitalCode(index: 0))
      (slot.eventTime, slot.value) = (Int64(index / 2) * 1000, DecimalValue(mantissa: Int64(index)))
      sealer.append(slot, position: UInt64(index + 1))
      // One half sealed, one half not yet.
      if index == 19 { try sealer.seal(now: 0, all: true) }
    }
    let directory = Directory(registry: VitalRegistry([]))
    _ = directory.patient(tenant: "t", patient: "p")
    let request = HTTPRequest(method: "GET", path: "/v1/observations", query: [("patient", "p")])
    var query = try ObservationQuery(request, directory, VitalRegistry([]))
    var values: [Int64] = []
    var pages = 0
    repeat {
      let page = try ObservationPage(query, sealer, { try SeriesReader(store.store) }, rowsMax: 7)
      values += page.rows.flatMap { $0.row.cells.map(\.cell.mantissa) }
      query.after = page.next
      pages += 1
      #expect(page.samples <= 7)
    } while query.after != nil
    #expect(values == Array(0..<40))
    #expect(pages == 6)
    // A vital the registry lacks is an error and no trap.
    let whole = try ObservationPage(query, sealer, { try SeriesReader(store.store) })
    let first = try #require(whole.rows.first)
    let table = ObservationTable(groups: [first.group], directory: directory, registry: VitalRegistry([]))
    #expect(table.names.devices == ["unknown"])
    var rows: [ObservationRow] = []
    #expect(throws: UnknownVital.self) { try table.append(first.row, first.group, to: &rows) }
    // Of a vital that never was, every page is empty, and the last one comes.
    query.codes = [VitalCode(index: 9)]
    let page = try ObservationPage(query, sealer, { try SeriesReader(store.store) }, rowsMax: 7)
    #expect(page.rows.isEmpty && page.next != nil)
  }

  @Test func onlySoManyPagesAreMadeAtOnce() {
    let gate = ObservationGate(limit: 2)
    let full = gate.pass { gate.pass { gate.pass { .text("third") } } }
    #expect(full.status == 503)
    #expect(full.headers.contains { $0.name == "Retry-After" && $0.value == "1" })
    // Whoever was answered or refused takes no room any more.
    #expect(gate.pass { gate.pass { .text("second") } }.status == 200)
  }

  @Test func aCursorReadsBackAndNothingElseDoes() {
    let cursor = ObservationCursor(time: -5, device: 7)
    #expect(ObservationCursor(cursor.text) == cursor)
    for text in ["", "1", "1.2", "1.2.-3", "2.1.1", "1.2.3.4", "1.99999999999999999999.1", "a.b.c"] {
      #expect(ObservationCursor(text) == nil, "\(text)")
    }
  }
}
