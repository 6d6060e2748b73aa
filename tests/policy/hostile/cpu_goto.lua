-- A loop made of a label.
::again::
goto again
