import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "src"))
import app


class Answers(unittest.TestCase):
    def test_the_first_page_has_the_title(self):
        status, _, body = app.answer("/")
        self.assertEqual(status, 200)
        self.assertIn("${title}", body)

    def test_health_names_the_service(self):
        self.assertIn("${service}", app.answer("/health")[2])

    def test_others_are_not_here(self):
        self.assertEqual(app.answer("/nowhere")[0], 404)


if __name__ == "__main__":
    unittest.main()
