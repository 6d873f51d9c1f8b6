import Foundation
import FoundationXML
import Statistics
import Testing
import VitalModel

@testable import ReportPages

/// One page as a browser, a reader for the blind and a suspicious person see it.
@Suite struct PageTests {
  private static let pages: [(name: String, html: String)] = {
    guard let evaluation = try? SampleWard.evaluation().html, let tuning = try? SampleWard.tuning().html else {
      return []
    }
    return [("evaluation", evaluation), ("tuning", tuning)]
  }()

  /// Elements of a page in their order.
  private final class Outline: NSObject, XMLParserDelegate {
    struct Element {
      var name: String
      var attributes: [String: String]
      /// Names of what it stands in, outermost first.
      var path: [String]
      var text = ""
    }
    private(set) var elements: [Element] = []
    private(set) var failure: String?
    private var open: [Int] = []

    init(_ page: String) {
      super.init()
      let parser = XMLParser(data: Data(page.utf8))
      parser.delegate = self
      if !parser.parse() {
        failure = "line \(parser.lineNumber): \(parser.parserError.map { "\($0)" } ?? "")"
      }
    }

    func parser(
      _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
      attributes: [String: String] = [:]
    ) {
      elements.append(Element(name: name, attributes: attributes, path: open.map { elements[$0].name }))
      open.append(elements.count - 1)
    }
    func parser(
      _ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?
    ) { open.removeLast() }
    func parser(_ parser: XMLParser, foundCharacters text: String) {
      if let last = open.last { elements[last].text += text }
    }
  }

  @Test func bothPagesAreMade() { #expect(PageTests.pages.count == 2) }

  /// Stricter than HTML asks: every drawing with it, whatever names are.
  @Test func pagesAreWellFormedWhateverNamesAre() {
    for page in PageTests.pages {
      let outline = Outline(page.html)
      #expect(outline.failure == nil, "\(page.name): \(outline.failure ?? "")")
      #expect(outline.elements.count > 500, "\(page.name)")
      #expect(!outline.elements.contains { $0.name == "script" }, "\(page.name)")
      #expect(page.html.contains("&lt;script&gt;x(&#39;&quot;&amp;\u{FFFD}\u{FFFD}]]&gt;"), "\(page.name)")
      #expect(!page.html.contains("\u{202E}") && !page.html.contains("\u{7}"), "\(page.name)")
    }
  }

  @Test func nothingIsFetched() {
    for page in PageTests.pages {
      for word in ["http:", "https:", "src=", "href=", "url(", "@import", "<link", "<iframe", "<img", "<script"] {
        #expect(!page.html.contains(word), "\(page.name) has \(word)")
      }
      #expect(page.html.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""))
    }
  }

  @Test func everyNameOfAPlaceIsUniqueAndEveryReferenceHasOne() {
    for page in PageTests.pages {
      let outline = Outline(page.html)
      let ids = outline.elements.compactMap { $0.attributes["id"] }
      #expect(Set(ids).count == ids.count, "\(page.name)")
      for element in outline.elements {
        for id in (element.attributes["aria-labelledby"] ?? "").split(separator: " ") {
          #expect(ids.contains(String(id)), "\(page.name) refers to \(id)")
        }
      }
    }
  }

  @Test func everyDrawingCanBeHeardAndReadAsATable() {
    for page in PageTests.pages {
      let outline = Outline(page.html)
      let drawings = outline.elements.filter { $0.name == "svg" && $0.attributes["class"] == "chart" }
      #expect(drawings.count >= 9 + 9, "\(page.name)")
      #expect(drawings.allSatisfy { $0.attributes["role"] == "img" && $0.attributes["viewBox"] != nil })
      let described = outline.elements.filter { $0.name == "desc" && !$0.text.isEmpty }
      #expect(described.count == drawings.count, "\(page.name)")
      let figures = page.html.components(separatedBy: "<figure>").dropFirst()
      #expect(figures.count == drawings.count, "\(page.name)")
      for figure in figures {
        let own = figure.components(separatedBy: "</figure>")[0]
        #expect(own.contains("<table") && own.contains("<figcaption>"), "\(page.name): \(own.prefix(80))")
      }
      // What is not a drawing of its own is a key, which says nothing that its words do not.
      #expect(
        outline.elements.filter { $0.name == "svg" }.allSatisfy {
          $0.attributes["class"] == "chart" || $0.attributes["aria-hidden"] == "true"
        })
    }
  }

  @Test func headingsComeInOrder() {
    for page in PageTests.pages {
      let levels = Outline(page.html).elements.compactMap { element -> Int? in
        element.name.count == 2 && element.name.hasPrefix("h") ? Int(element.name.dropFirst()) : nil
      }
      #expect(levels.first == 1 && levels.count { $0 == 1 } == 1, "\(page.name)")
      for (before, after) in zip(levels, levels.dropFirst()) { #expect(after <= before + 1, "\(page.name)") }
      #expect(page.html.hasPrefix("<!DOCTYPE html>\n<html lang=\"en-GB\">"))
      #expect(page.html.contains("name=\"viewport\" content=\"width=device-width, initial-scale=1\""))
    }
  }

  @Test func everyDrawingAndTableAskedForIsThere() {
    for page in PageTests.pages {
      for id in ["burden", "margin", "lead", "patients", "hours", "stages", "trace-1", "roc", "pr", "det"] {
        // One setting with no window found has no place on a scale of deviates.
        if page.name == "evaluation", id == "det" { continue }
        #expect(page.html.contains("<title id=\"\(id)-t\">"), "\(page.name) lacks \(id)")
      }
      for words in [
        "Missed events, longest without an alert first", "Most frequent false alerts", "the noisy tenth", "By rule",
        "By group of patients", "Rates over windows", "What this page cannot say", "sha256:0123", "sha256:4567",
        "seed 1",
        "without persistence", "the best clock", "the same alerts, rotated",
      ] { #expect(page.html.contains(words), "\(page.name) lacks \(words)") }
    }
    let tuning = PageTests.pages[1].html
    for words in [
      "Quote these", "Held out", "Cross-validated less today", "sex female", "94 or less: 2", "4 of 9 settings",
      "The rule file",
    ] {
      #expect(tuning.contains(words), "\(words)")
    }
  }

  @Test func nobodyIsNamedUnlessAskedFor() throws {
    let name: @Sendable (Int) -> String = { "ward-bed-\($0)" }
    #expect(PageTests.pages.allSatisfy { $0.html.contains("patient 40 of 60") && !$0.html.contains("ward-bed") })
    let named = try SampleWard.evaluation(subject: PageSubject(patientName: name)).html
    #expect(named.contains("ward-bed-39") && !named.contains("patient 40 of 60"))
    // Dates of a stay are nobody's business either: times count from the onset.
    #expect(PageTests.pages.allSatisfy { !$0.html.contains("2020-") })
  }

  @Test func equalValuesGiveEqualBytes() throws {
    #expect(try SampleWard.tuning().html == PageTests.pages[1].html)
  }

  @Test func aPageOfNothingIsStillAPage() throws {
    let stays = [WatchedStay(PatientWatch(patient: 0, unit: nil, spans: [0..<86_400_000]), interval: 1000)]
    let labels = try LabelSet(
      LabelTable("patient_id,onset_time_s,label\nnobody,1,fall\n", file: "labels.csv", epoch: 0), LabelSelection())
    let cohort = EvaluationCohort(stays: stays, labels: labels) { _ in nil }
    let report = EvaluationReport(EvaluationInput(cohort: cohort, alerts: [], rules: []), SampleWard.options())
    for html in [EvaluationPage(report: report).html, TuningPage(report: report, points: []).html] {
      let outline = Outline(html)
      #expect(outline.failure == nil, "\(outline.failure ?? "")")
      #expect(html.contains("What this page cannot say"))
    }
  }
}
