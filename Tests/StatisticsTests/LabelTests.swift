import Testing
import VitalModel

@testable import Statistics

/// 2020-01-01T00:00:00Z.
let epoch: Int64 = 1_577_836_800_000

/// Labels are somebody's judgement: read in full, sorted out by name, refused with the line that is wrong.
@Suite struct LabelTests {
  private func table(_ text: String) throws -> LabelTable { try LabelTable(text, file: "labels.csv", epoch: epoch) }

  private func selection(
    _ labels: [String] = [], negative: [String] = [], censor: [String] = [], lengthMin: Int64 = 0, mergeGap: Int64 = 0
  ) -> LabelSelection {
    var selection = LabelSelection()
    selection.labels = labels
    selection.negative = negative
    selection.censor = censor
    selection.lengthMin = lengthMin
    selection.mergeGap = mergeGap
    return selection
  }

  @Test func linesAreReadInEveryForm() throws {
    let rows = try table(
      "\u{FEFF}label,patient_id,onset_time_s,end_time_s,by\r\n"
        + "sepsis, p1 ,10800,,anna\r\n"
        + "\r\n"
        + "sepsis,\"p,2\",0.5,7.25,\"x\"\r\n"
        + "fall,p1,2020-01-01T03:00:00+01:00,2020-01-01T02:00:01Z,\r\n"
    ).rows
    #expect(
      rows == [
        LabelRow(line: 2, patient: "p1", onset: epoch + 10_800_000, label: "sepsis"),
        LabelRow(line: 4, patient: "p,2", onset: epoch + 500, end: epoch + 7250, label: "sepsis"),
        LabelRow(line: 5, patient: "p1", onset: epoch + 7_200_000, end: epoch + 7_201_000, label: "fall"),
      ])
    #expect(try table("patient,onset_time,label\np,2020-01-01T00:00:00Z,a").rows.first?.onset == epoch)
    #expect(try table("patient_id,onset_time_s,label\np,-60,a").rows.first?.onset == epoch - 60_000)
  }

  @Test(arguments: [
    ("", "labels.csv: it is empty: a line `patient_id,onset_time_s,label` must come first"),
    ("patient_id,label\n", "labels.csv:1: there is no column `onset_time_s`: expected patient_id, onset_time_s, label"),
    ("patient_id,onset_time_s,label\np,1,a\np,1\n", "labels.csv:3: 2 cells where the first line has 3"),
    ("patient_id,onset_time_s,label\n\n,1,a\n", "labels.csv:3: the patient is missing"),
    ("patient_id,onset_time_s,label\np,1,\n", "labels.csv:2: the label is missing"),
    (
      "patient_id,onset_time_s,label\np,noon,a\n",
      "labels.csv:2: onset `noon` is neither seconds nor an RFC 3339 time with offset"
    ),
    (
      "patient_id,onset_time_s,label\np,9e99,a\n",
      "labels.csv:2: onset `9e99` is neither seconds nor an RFC 3339 time with offset"
    ),
    (
      "patient_id,onset_time_s,label\np,2020-01-01T00:00:00,a\n",
      "labels.csv:2: onset `2020-01-01T00:00:00` is neither seconds nor an RFC 3339 time with offset"
    ),
    (
      "patient_id,onset_time_s,end_time_s,label\np,5,x,a\n",
      "labels.csv:2: end `x` is neither seconds nor an RFC 3339 time with offset"
    ),
    ("patient_id,onset_time_s,end_time_s,label\np,5,4,a\n", "labels.csv:2: it ends before it begins"),
    ("patient_id,onset_time_s,label\np,\"5,a\n", "labels.csv:2: a quote is never closed"),
  ])
  func whatIsWrongIsSaidWithItsLine(text: String, message: String) {
    #expect { try table(text) } throws: { "\($0)" == message }
  }

  /// Whatever stands in a file, it is read or refused with a line of it; what is read can be sorted out.
  @Test func anyTextIsReadOrRefused() throws {
    let good =
      "patient_id,onset_time_s,end_time_s,label\np,0,10,a_start\nq,2020-01-01T00:00:00Z,,a_end\n\"r\",5.5,6,b\n"
    let pieces = ["\"", ",", "\n", "\r\n", "-", "e9", "99999999999999999999", "\u{0}", "é", "_start", "", "a"]
    var (read, refused) = (0, 0)
    for seed in 0..<400 as Range<UInt64> {
      var sampler = Resampler(seed: seed)
      var characters = Array(good)
      for _ in 0..<1 + sampler.index(below: 4) {
        let place = sampler.index(below: characters.count)
        let end = min(characters.count, place + sampler.index(below: 3))
        characters.replaceSubrange(place..<end, with: pieces[sampler.index(below: pieces.count)])
      }
      do {
        let table = try LabelTable(String(characters), file: "labels.csv", epoch: epoch)
        read += 1
        for row in table.rows { #expect((row.end ?? row.onset) >= row.onset, "seed \(seed)") }
        var selection = LabelSelection()
        selection.labels = table.rows.map(\.label)
        selection.mergeGap = 1000
        let set = try? LabelSet(table, selection)
        #expect((set?.events.count ?? 0) <= table.rows.count, "seed \(seed)")
      } catch {
        refused += 1
        #expect((0...characters.count).contains(error.line) && !error.message.isEmpty, "seed \(seed)")
      }
    }
    #expect(read > 20 && refused > 20)
  }

  @Test func aFileOfSeveralKindsIsAskedWhich() throws {
    let mixed = try table("patient_id,onset_time_s,label\np,1,a\np,2,b\np,3,quiet\np,4,off\n")
    #expect { try LabelSet(mixed, selection()) } throws: {
      "\($0)" == "labels.csv: it mixes kinds: choose with --label (a, b, off, quiet)"
    }
    #expect { try LabelSet(mixed, selection(["c"])) } throws: {
      "\($0)" == "labels.csv: no label is called `c` (--label); there are: a, b, off, quiet"
    }
    #expect { try LabelSet(mixed, selection(["a"], censor: ["a"])) } throws: {
      "\($0)" == "labels.csv: `a` cannot be an event and something else: name it once"
    }
    let set = try LabelSet(mixed, selection(["b", "a"], negative: ["quiet"], censor: ["off"]))
    #expect(set.kinds == ["a", "b"] && set.events.map(\.label) == ["a", "b"])
    #expect(set.negatives.map(\.onset) == [epoch + 3000] && set.censored.map(\.onset) == [epoch + 4000])
    // Set aside, one kind is left: no need to choose.
    #expect(try LabelSet(mixed, selection(negative: ["quiet", "b"], censor: ["off"])).kinds == ["a"])
    let none = try table("patient_id,onset_time_s,label\n")
    #expect { try LabelSet(none, selection()) } throws: {
      "\($0)" == "labels.csv: it has no events: only a first line, or none that is not set aside"
    }
  }

  @Test func startsAndEndsAreOneKind() throws {
    let set = try LabelSet(
      try table(
        """
        patient_id,onset_time_s,label
        p,0,low_start
        q,50,low_end
        p,300,low_end
        p,400,low_start
        p,900,low_end
        q,60,low_start
        """), selection())
    #expect(set.kinds == ["low"])
    #expect(set.events.map(\.patient) == ["p", "p", "q"])
    #expect(set.events.map { $0.onset - epoch } == [0, 400_000, 60_000])
    #expect(set.events.map { $0.end.map { $0 - epoch } } == [300_000, 900_000, nil])
    // A name that only looks like a pair stays what it is.
    #expect(try LabelSet(try table("patient_id,onset_time_s,label\np,0,x_start\n"), selection()).kinds == ["x_start"])
  }

  @Test func nearEventsAreOneAndShortOnesAreCounted() throws {
    let text = "patient_id,onset_time_s,end_time_s,label\np,0,10,a\np,15,20,a\np,40,41,a\np,90,,a\np,90,,a\nq,5,,a\n"
    let plain = try LabelSet(try table(text), selection())
    // Only the one said twice is one.
    #expect(plain.events.count == 5 && plain.merged == 1 && plain.tooShort == 0)
    let joined = try LabelSet(try table(text), selection(lengthMin: 2000, mergeGap: 6000))
    #expect(joined.events.map { $0.onset - epoch } == [0, 90_000, 5000])
    #expect(joined.events.map { $0.end.map { $0 - epoch } } == [20_000, nil, nil])
    #expect(joined.merged == 2 && joined.tooShort == 1)
    // Overlapping ones are one without any gap asked for; other patients and kinds stay apart.
    let overlap = "patient_id,onset_time_s,end_time_s,label\np,0,10,a\np,9,30,a\np,9,30,b\nq,9,30,a\n"
    #expect(try LabelSet(try table(overlap), selection(["a", "b"])).events.count == 3)
  }

  @Test func labelsOutsideTheRecordAreLeftOutAndCounted() throws {
    let text = """
      patient_id,onset_time_s,end_time_s,label
      p,-1,,a
      p,0,,a
      p,3600,,a
      p,7199,,a
      p,7200,,a
      r,5,,a
      p,5000,6000,off
      p,5500,,a
      """
    let set = try LabelSet(try table(text), selection(["a"], censor: ["off"]))
    let stay = WatchedStay(
      PatientWatch(patient: 0, unit: nil, spans: [epoch..<epoch + 7_200_000]), interval: 3_600_000)
    let cohort = EvaluationCohort(stays: [stay], labels: set) { $0 == "p" ? 0 : nil }
    #expect(cohort.events.map { $0.onset - epoch } == [0, 3_600_000, 7_199_000])
    var expected = LabelExclusions()
    expected.beforeFirstSample = 1
    expected.afterRecord = 1
    expected.unknownPatient = 1
    expected.inCensored = 1
    #expect(cohort.exclusions == expected && expected.total == 4)
    #expect(cohort.hasEvent == [true])
    #expect(cohort.patientDays == 2.0 / 24)
  }
}
