-- Which work on its incident a decision belongs to: a worker that takes the work up after another's death goes on with the
-- decision that was kept. Found by decisions_incident.
ALTER TABLE decisions ADD COLUMN work TEXT;
